"""The coordinator dies at any change to its files, or its disk is full from then on. It is resumed, and no byte differs.

`scripts/test` strikes at a spread of changes, `scripts/test --full` at every one.
"""

from __future__ import annotations

import itertools
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from checkpoints import Shape, write_model, write_tokens
from conftest import finished, is_full_run
from faulty_disk import FaultyDisk
from jobs import LOCAL, Inputs, Job, assert_same_output
from native import compile_library
from processes import Run, last_line, random_seed, succeeded

MakeJob = Callable[..., Job]
TINY = Shape(hidden=16, mlp=24, heads=2, key_heads=1, head=8, blocks=2, vocabulary=32)
TUNED = ("--tune-epochs", "1")
# Of each kind of fault, in a short run.
SPREAD = 9
LIVES_MAX = 100


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> FaultyDisk:
    library = compile_library("faulty_disk", tmp_path_factory.mktemp("faulty-disk"))
    if library is None:
        pytest.skip("no C compiler on this machine")
    return FaultyDisk(library)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    directory = tmp_path_factory.mktemp("tiny")
    tokens = write_tokens(directory / "tokens.safetensors", sequences=3, length=16, vocabulary=TINY.vocabulary)
    return Inputs(write_model(directory / "model", TINY), tokens)


@pytest.fixture(scope="module")
def expected(binaries: Path, tiny: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return finished(binaries, tiny, tmp_path_factory.mktemp("tiny-result"), *TUNED)


@pytest.fixture
def changes(disk: FaultyDisk, tiny: Inputs, make_job: MakeJob) -> int:
    """How often a coordinator changes its files in the course of the job; a few more or less each time."""
    job = make_job(tiny, *TUNED)
    succeeded(job.run(*LOCAL, "1", env=disk.environment(job, at=0)))
    count = disk.changes(job)
    assert count > 100
    return count


def places(changes: int) -> Iterator[int]:
    """Where to strike: everywhere until nothing happens any more, or here and there, and once where the end may be."""
    if is_full_run():
        return itertools.count(1)
    chosen = random.Random(random_seed()).sample(range(2, changes * 4 // 5), SPREAD - 2)
    return iter(sorted({1, changes, *chosen}))


def stored(job: Job) -> set[tuple[object, ...]]:
    """The results in the database; none if the coordinator died before it had its tables. Read from a copy: SQLite mends what
    was left half done when it opens a database, and that is for the next coordinator."""
    with tempfile.TemporaryDirectory() as directory:
        for path in job.job.glob("job.sqlite*"):
            shutil.copy2(path, directory)
        with sqlite3.connect(Path(directory) / "job.sqlite") as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'result'").fetchall():
                return set()
            rows = set(connection.execute("SELECT kind, block, part, digest FROM result").fetchall())
        connection.close()
        return rows


def go_on(job: Job, **options: object) -> Run[str]:
    """Resumes; a coordinator that died before it had written down what the job is leaves none to resume."""
    done = job.resume(*LOCAL, "1", **options)
    if done.returncode == 65 and ("holds no job" in done.stderr or "never started" in done.stderr):
        done = job.run(*LOCAL, "1", **options)
    return done


def assert_resumed(job: Job, expected: Job, where: str) -> None:
    before = stored(job)
    done = go_on(job)
    assert done.returncode == 0, f"{where}: {done.stderr}"
    assert_same_output(expected.output, job.output)
    # What was acknowledged is in the database, and what is there is neither lost nor made again.
    assert before <= stored(job), where
    assert not job.output.with_name("out.incomplete").exists(), where


@pytest.mark.parametrize("kind", ["kill", "torn"])
def test_killed_at_a_change(
    disk: FaultyDisk, tiny: Inputs, expected: Job, make_job: MakeJob, changes: int, kind: str
) -> None:
    """Before the change, or when half of the bytes are written."""
    struck = 0
    for number in places(changes):
        job = make_job(tiny, *TUNED)
        done = job.run(*LOCAL, "1", env=disk.environment(job, number, kind))
        if done.returncode == 0:
            assert number > changes * 0.8, f"change {number} of {changes}"
            break
        assert done.returncode == -9, f"change {number}: {done.stderr}"
        assert_resumed(job, expected, f"{kind} at change {number}")
        shutil.rmtree(job.directory)
        struck += 1
    print(f"{kind}: {struck} of about {changes} changes")
    assert struck >= SPREAD - 2


def test_the_disk_is_full(disk: FaultyDisk, tiny: Inputs, expected: Job, make_job: MakeJob, changes: int) -> None:
    """One line that says so, exit code 74, nothing half done under a final name; there is space again, and the job goes on."""
    struck = 0
    for number in places(changes):
        job = make_job(tiny, *TUNED)
        done = job.run(*LOCAL, "1", env=disk.environment(job, number, "full"))
        where = f"full from change {number} on: {done.stderr}"
        if done.returncode == 0:
            # Nothing needed space any more.
            assert number > changes * 0.8, where
            assert_same_output(expected.output, job.output)
            break
        assert done.returncode == 74, where
        line = last_line(done)
        assert line.startswith(f"crvq-coord: {job.directory}"), where
        assert "space" in line, where
        assert not job.output.with_name("out.incomplete").exists(), where
        assert_resumed(job, expected, where)
        shutil.rmtree(job.directory)
        struck += 1
    print(f"full: {struck} of about {changes} changes")
    assert struck >= SPREAD - 3


def test_killed_again_and_again(
    disk: FaultyDisk, tiny: Inputs, expected: Job, make_job: MakeJob, changes: int
) -> None:
    """Each life of the coordinator ends at some change, that of the resumes too, until one is long enough."""
    seed = random_seed()
    chance = random.Random(seed)
    job = make_job(tiny, *TUNED)
    for life in range(LIVES_MAX):
        environment = disk.environment(job, chance.randrange(1, changes // 2), chance.choice(["kill", "torn", "full"]))
        done = go_on(job, env=environment)
        if done.returncode == 0:
            break
        assert done.returncode in (-9, 74), f"seed {seed}, life {life}: {done.stderr}"
    else:
        raise AssertionError(f"seed {seed}: {LIVES_MAX} lives were not enough")
    print(f"seed {seed}: {life + 1} lives")
    assert_same_output(expected.output, job.output)
