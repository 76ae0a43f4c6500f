"""A program dies at any change to its files, or its disk is full from then on. It is started again, and no byte differs.

`scripts/test` strikes at a spread of changes, `scripts/test --full` at every one of a tuned job and many of the others.
"""

from __future__ import annotations

import itertools
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pytest
from conftest import finished, is_full_run
from faulty_disk import FaultyDisk
from jobs import LOCAL, Inputs, Job, assert_same_output
from processes import Arguments, Programs, Run, last_line, random_seed, succeeded

MakeJob = Callable[..., Job]
TUNED = ("--tune-epochs", "1")
LIVES_MAX = 100


@dataclass(frozen=True)
class Case:
    """Whose changes are counted, how often each kind of fault strikes in a short run, and at every which in a full one."""

    options: tuple[Arguments, ...]
    program: str
    spread: int
    stride: int

    def environment(self, disk: FaultyDisk, job: Job, at: int, kind: str = "kill") -> dict[str, str]:
        # Workers keep their caches where temporary files are.
        paths = (job.programs.temporary,) if self.program == "crvq-worker" else ()
        return disk.environment(job, at, kind, self.program, paths)


CASES = {
    "a tuned job": Case(TUNED, "crvq-coord", 7, 1),
    "a distilled job": Case(("--distill-epochs", "1"), "crvq-coord", 3, 5),
    "a worker": Case(TUNED, "crvq-worker", 4, 5),
}
EXPORT = Case((), "crvq-coord", 6, 1)
COORDINATORS = [name for name, case in CASES.items() if case.program == "crvq-coord"]


@dataclass(frozen=True)
class Measured:
    """A case, what its job comes to, and how often its program changes its files; a few more or less each time."""

    case: Case
    disk: FaultyDisk
    expected: Job
    changes: int

    def strike(self, make_job: MakeJob, kind: str) -> Iterator[tuple[int, Job, Run[str]]]:
        """Jobs that were struck, each at another change, and how they ended. Each is removed afterwards."""
        chance = random.Random(random_seed())
        for number in places(self.changes, self.case, chance):
            while True:
                job = make_job(self.expected.inputs, *self.case.options)
                done = job.run(*LOCAL, "1", env=self.case.environment(self.disk, job, number, kind))
                if self.disk.has_struck(job):
                    yield number, job, done
                    shutil.rmtree(job.directory)
                    break
                # It came to its end before.
                succeeded(done)
                assert_same_output(self.expected.output, job.output)
                count = self.disk.changes(job)
                assert count < number
                if number >= self.changes:
                    return
                if is_full_run():
                    break
                # Some changes are those of the clock.
                number = chance.randrange(1, count)


@pytest.fixture(scope="module")
def measured(
    request: pytest.FixtureRequest, binaries: Path, disk: FaultyDisk, tiny: Inputs,
    tmp_path_factory: pytest.TempPathFactory,
) -> Measured:  # fmt: skip
    case = CASES[request.param]
    expected = finished(binaries, tiny, tmp_path_factory.mktemp("expected"), *case.options)
    directory = tmp_path_factory.mktemp("counted")
    job = Job(Programs(binaries, directory), tiny, directory, case.options)
    succeeded(job.run(*LOCAL, "1", env=case.environment(disk, job, at=0)))
    count = disk.changes(job)
    assert count > 100
    return Measured(case, disk, expected, count)


def of_cases(names: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("measured", names, indirect=True)


def places(changes: int, case: Case, chance: random.Random) -> Iterator[int]:
    """Where to strike: everywhere until nothing happens any more, or here and there, and once where the end may be."""
    if is_full_run():
        return itertools.count(chance.randint(1, case.stride), case.stride)
    chosen = chance.sample(range(2, changes * 4 // 5), case.spread - 2)
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
@of_cases(COORDINATORS)
def test_killed_at_a_change(measured: Measured, make_job: MakeJob, kind: str) -> None:
    """Before the change, or when half of the bytes are written."""
    struck = 0
    for number, job, done in measured.strike(make_job, kind):
        assert done.returncode == -9, f"change {number}: {done.stderr}"
        assert_resumed(job, measured.expected, f"{kind} at change {number}")
        struck += 1
    print(f"{kind}: {struck} of about {measured.changes} changes")
    assert struck >= measured.case.spread - 1


@pytest.mark.parametrize("kind", ["kill", "torn"])
@of_cases(["a worker"])
def test_a_worker_killed_at_a_change(measured: Measured, make_job: MakeJob, kind: str) -> None:
    """To its cache, which the next one takes over."""
    struck = 0
    for number, job, done in measured.strike(make_job, kind):
        where = f"{kind} at change {number}: {done.stderr}"
        struck += 1
        assert done.returncode == 0, where
        assert_same_output(measured.expected.output, job.output)
        if number <= measured.changes * 0.8:
            # What it left has been used, and is gone with the job.
            assert "was killed by signal 9, Killed; starting it again" in done.stderr, where
            assert list(job.programs.temporary.iterdir()) == [], where
        else:
            # The job may have been done, and it was clearing up.
            shutil.rmtree(job.programs.temporary)
            job.programs.temporary.mkdir()
    print(f"{kind}: {struck} of about {measured.changes} changes")
    assert struck >= measured.case.spread - 1


@of_cases(COORDINATORS)
def test_the_disk_is_full(measured: Measured, make_job: MakeJob) -> None:
    """One line that says so, exit code 74, nothing half done under a final name; there is space again, and the job goes on."""
    struck = 0
    for number, job, done in measured.strike(make_job, "full"):
        where = f"full from change {number} on: {done.stderr}"
        struck += 1
        if done.returncode == 0:
            # Nothing needed space any more.
            assert number > measured.changes * 0.8, where
            assert_same_output(measured.expected.output, job.output)
            continue
        assert done.returncode == 74, where
        line = last_line(done)
        assert line.startswith(f"crvq-coord: {job.directory}"), where
        assert "space" in line, where
        assert not job.output.with_name("out.incomplete").exists(), where
        assert_resumed(job, measured.expected, where)
    print(f"full: {struck} of about {measured.changes} changes")
    assert struck >= measured.case.spread - 1


@of_cases(["a tuned job"])
def test_killed_again_and_again(measured: Measured, tiny: Inputs, make_job: MakeJob) -> None:
    """Each life of the coordinator ends at some change, that of the resumes too, until one is long enough."""
    seed = random_seed()
    chance = random.Random(seed)
    job = make_job(tiny, *TUNED)
    for life in range(LIVES_MAX):
        number, kind = chance.randrange(1, measured.changes // 2), chance.choice(["kill", "torn", "full"])
        environment = measured.case.environment(measured.disk, job, number, kind)
        done = go_on(job, env=environment)
        if done.returncode == 0:
            break
        assert done.returncode in (-9, 74), f"seed {seed}, life {life}: {done.stderr}"
    else:
        raise AssertionError(f"seed {seed}: {LIVES_MAX} lives were not enough")
    print(f"seed {seed}: {life + 1} lives")
    assert_same_output(measured.expected.output, job.output)


@pytest.mark.parametrize("kind", ["kill", "torn", "full"])
def test_an_export_that_ends_at_a_change(small_result: Job, disk: FaultyDisk, make_job: MakeJob, kind: str) -> None:
    """There is an output, and a whole one, or none; the next export makes it."""
    job = make_job(small_result.inputs)

    def export(output: Path, at: int) -> Run[str]:
        environment = disk.environment(job, at, kind, paths=(output,))
        return job.programs.run("export", "--quantized", small_result.output, "--output", output, env=environment)

    expected = job.directory / "expected"
    succeeded(export(expected, at=0))
    changes = disk.changes(job)
    assert changes > 10
    chosen = places(changes, EXPORT, random.Random(random_seed()))
    for number in itertools.takewhile(lambda number: number <= changes, chosen):
        output = job.directory / f"out-{number}"
        done = export(output, number)
        assert disk.has_struck(job)
        assert done.returncode in ({0, 74} if kind == "full" else {-9}), f"change {number}: {done.stderr}"
        if kind == "full":
            assert output.exists() == (done.returncode == 0), f"change {number}: {done.stderr}"
            assert not output.with_name(f"{output.name}.incomplete").exists()
        if not output.exists():
            succeeded(export(output, at=0))
            assert not list(job.directory.glob(f"{output.name}.incomplete*"))
        assert_same_files(expected, output)


def assert_same_files(expected: Path, got: Path) -> None:
    names = sorted(path.name for path in expected.iterdir())
    assert sorted(path.name for path in got.iterdir()) == names
    for name in names:
        assert (got / name).read_bytes() == (expected / name).read_bytes(), name
