"""Connections that delay, throttle, change what they carry or are cut anywhere: the job ends, and no byte differs."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
from checkpoints import Shape, write_model, write_tokens
from conftest import finished, is_full_run, preloaded
from jobs import Inputs, Job, assert_no_lease_ran_out_twice, assert_same_output, longest_silence
from processes import random_seed, succeeded
from proxy import Faults, Proxy

MakeJob = Callable[..., Job]
# Grams of 100 KB and more: they take many pieces.
SHAPE = Shape(hidden=128, mlp=352, heads=8, key_heads=2, head=16, blocks=4 if is_full_run() else 1)
SEQUENCES = 16 if is_full_run() else 4
WORKERS = 3

FAULTS = {
    "delayed by 200 ms": Faults(delay=0.2),
    "throttled": Faults(rate=400_000),
    "cut in mid-frame": Faults(cut=0.6),
    "reset": Faults(reset=0.6),
    "stalled": Faults(stall=0.2, stall_time=6),
    "changed": Faults(flip=0.1),
    "all together": Faults(delay=0.05, rate=2_000_000, cut=0.2, reset=0.2, stall=0.05, flip=0.01, stall_time=6),
}
SHORT = ("delayed by 200 ms", "cut in mid-frame", "changed", "all together")


@pytest.fixture(scope="module")
def detour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return preloaded("detour", tmp_path_factory.mktemp("detour"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    directory = tmp_path_factory.mktemp("connections")
    return Inputs(write_model(directory / "model", SHAPE), write_tokens(directory / "tokens.safetensors", SEQUENCES))


@pytest.fixture(scope="module")
def expected(binaries: Path, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return finished(binaries, inputs, tmp_path_factory.mktemp("connections-result"))


@pytest.mark.parametrize("kind", FAULTS if is_full_run() else SHORT)
def test_the_job_ends(detour: Path, inputs: Inputs, expected: Job, make_job: MakeJob, kind: str) -> None:
    job = make_job(inputs)
    with Proxy(FAULTS[kind], random_seed()) as proxy:
        job.programs.environment |= {"LD_PRELOAD": str(detour), "DETOUR_PORT": str(proxy.port)}
        coordinator = job.start("--launcher", "none", "--bind", "tcp://127.0.0.1:*")
        workers = [job.worker(f"w{number}") for number in range(WORKERS)]
        succeeded(coordinator.wait())
        for worker in workers:
            worker.kill()
    print(f"{kind}: {dict(proxy.events)}, longest silence {longest_silence(job):.1f} s")
    assert_happened(proxy, kind)
    assert_same_output(expected.output, job.output)
    assert_no_lease_ran_out_twice(job)


def assert_happened(proxy: Proxy, kind: str) -> None:
    assert proxy.events["connections"] > WORKERS
    faults = FAULTS[kind]
    ends = ("cut", "reset", "stall")
    if any(getattr(faults, end) for end in ends):
        assert sum(proxy.events[end] for end in ends) > 0, proxy.events
    if faults.flip:
        assert proxy.events["flip"] > 0, proxy.events
