"""Artifacts that nobody needs any more are removed as the job goes."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Callable

import pytest
from checkpoints import LONG
from jobs import MANUAL, Inputs, Job, assert_same_output
from processes import query

MakeJob = Callable[..., Job]
SEQUENCES, LENGTH = 16, 64
SHARDS = 16
# Blocks for which Grams and hidden states may lie on workers: SchedulerPolicy.lookaheadBlocks, the lowest open one, and
# one for the slots of two workers.
WINDOW = 4


def artifacts(directory: Path) -> dict[str, int]:
    """Bytes by name. Files and directories may go while they are listed; os.walk does not mind."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                if len(name) == 64:
                    found[f"{Path(folder).name}/{name}"] = (Path(folder) / name).stat().st_size
    return found


def gram_bytes() -> int:
    """Of all sites of a block, for all shards: the upper triangles, twice for the repaired site."""
    widths = [LONG.hidden, LONG.heads * LONG.head, LONG.hidden, LONG.mlp]
    triangles = sum(4 * width * (width + 1) // 2 + 32 for width in widths)
    loss = 4 * LONG.hidden * LONG.mlp + 32
    return SHARDS * (triangles + loss)


def hidden_bytes() -> int:
    """Of one block."""
    return 4 * SEQUENCES * LENGTH * LONG.hidden + 32 * SHARDS


@pytest.mark.parametrize("tuned", [False, True])
def test_the_bounds_hold_all_the_time(long: Inputs, make_job: MakeJob, tmp_path: Path, tuned: bool) -> None:
    job = make_job(long, *(("--tune-epochs", "1") if tuned else ()))
    coordinator = job.start(*MANUAL)
    caches = [tmp_path / "cache-1", tmp_path / "cache-2"]
    # Hardly a copy is kept that no task needs, so that what is left is what the coordinator did not release.
    workers = [job.worker(cache.name, "--cache", cache, "--copies", "1K") for cache in caches]
    most = most_of_workers = 0
    while coordinator.is_running:
        most = max(most, sum(artifacts(job.job / "artifacts").values()))
        most_of_workers = max(most_of_workers, sum(sum(artifacts(cache).values()) for cache in caches))
        time.sleep(0.005)
    coordinator.succeed()
    for worker in workers:
        assert "never released" not in worker.succeed().stderr
    last = "tune" if tuned else "merge"
    blocks = dict(query(job.job, "SELECT digest, size FROM result WHERE kind = ?", last))
    # All that is left are the blocks as they are in the output.
    assert {name.split("/")[1] for name in artifacts(job.job / "artifacts")} == set(blocks)
    # The packed model, and each of two blocks that are being merged or tuned once more.
    assert most <= sum(blocks.values()) + 2 * max(blocks.values()), (most, blocks)
    bound = WINDOW * (gram_bytes() + hidden_bytes()) + hidden_bytes() + 2 * gram_bytes() + 4 * max(blocks.values())
    assert most_of_workers <= bound
    assert sum(sum(artifacts(cache).values()) for cache in caches) == 0, [artifacts(cache) for cache in caches]
