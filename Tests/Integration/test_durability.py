"""The order in which a coordinator makes its files durable, as if the power could fail at any moment.

A process that is killed leaves all that it has written, so no test that kills one sees whether anything was flushed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pytest
from durability import Change, History, is_artifact, without
from faulty_disk import FaultyDisk
from jobs import LOCAL, Inputs, Job
from processes import Programs, query, succeeded

# Results of every kind.
OPTIONS = ("--tune-epochs", "1", "--distill-epochs", "1")


@dataclass(frozen=True)
class ToldJob:
    """A job that came to its end, and the changes that its coordinator made to files on the way."""

    job: Job
    changes: list[Change]

    def history(self, is_left_out: Callable[[Change], bool] = lambda _: False) -> History:
        return History.of(without(self.changes, is_left_out), self.successors())

    def successors(self) -> dict[str, set[str]]:
        """Digests of results by those of the ones that they make unnecessary."""
        found = defaultdict(set)
        rows = query(self.job.job, "SELECT kind, block, part, digest FROM result WHERE digest IS NOT NULL")
        for kind, block, part, digest in rows:
            for other, of_block, of_part, successor in rows:
                if (kind, other) in (("fit", "merge"), ("merge", "tune")) and block == of_block:
                    found[digest].add(successor)
                if kind == other == "update" and of_part > part:
                    found[digest].add(successor)
        return found


@pytest.fixture(scope="module")
def told(binaries: Path, disk: FaultyDisk, tiny: Inputs, tmp_path_factory: pytest.TempPathFactory) -> ToldJob:
    directory = tmp_path_factory.mktemp("told")
    programs = Programs(binaries, directory)
    job = Job(programs, tiny, directory, OPTIONS)
    try:
        succeeded(job.run(*LOCAL, "2", env=disk.telling(job)))
    finally:
        programs.kill_all()
    return ToldJob(job, disk.log(job))


def test_a_file_has_its_name_when_its_bytes_are_durable(told: ToldJob) -> None:
    """And an output directory when all in it is."""
    assert told.history().faults["name"] == set()


def test_the_database_names_what_is_durable(told: ToldJob) -> None:
    history = told.history()
    assert history.faults["artifact"] == set()
    results = query(told.job.job, "SELECT kind, digest FROM result")
    assert {kind for kind, _ in results} == {"fit", "merge", "tune", "update", "verify"}
    assert history.durable == {digest for _, digest in results if digest}
    assert history.commits > len(results)


@pytest.mark.parametrize("kind", ["commit", "removal"])
def test_a_commit_is_durable_before_anything_is_built_on_it(told: ToldJob, kind: str) -> None:
    """Another commit, or the removal of what a stored result was made of."""
    assert told.history().faults[kind] == set()


def test_a_directory_is_durable_before_what_is_in_it_counts(told: ToldJob) -> None:
    assert told.history().faults["directory"] == set()


def test_a_job_is_not_finished_before_its_output_is_durable(told: ToldJob) -> None:
    finished = b"finished".hex()
    line = next(line for line, change in enumerate(told.changes) if change[0] == "write" and finished in change[-1])
    history = History.of(told.changes[:line], told.successors())
    for path in told.job.output.iterdir():
        assert str(path) in history.written and history.lasts(str(path)), path


def test_an_export_has_its_name_when_it_is_durable(told: ToldJob, disk: FaultyDisk) -> None:
    job = told.job
    output = job.directory / "plain"
    disk.log_file(job).unlink()
    succeeded(job.programs.run("export", "--quantized", job.output, "--output", output, env=disk.telling(job)))
    history = History.of(disk.log(job))
    assert history.faults["name"] == set()
    for path in output.iterdir():
        assert str(path) in history.written and history.lasts(str(path)), path


def is_of_an_artifact(change: Change) -> bool:
    return ".staging-" in change[1] and not change[1].endswith(".crvq-partial")


FLUSHES: dict[str, tuple[str, Callable[[Change], bool]]] = {
    "artifacts": ("name", is_of_an_artifact),
    "names of artifacts": ("artifact", lambda change: Path(change[1]).name == "artifacts"),
    "files of the output": ("name", lambda change: Path(change[1]).parent.name == "out.incomplete"),
    "names in the output": ("name", lambda change: Path(change[1]).name == "out.incomplete"),
    "commits": ("commit", lambda change: change[1].endswith("-wal")),
}


@pytest.mark.parametrize("what", FLUSHES)
def test_a_flush_that_is_left_out_is_found(told: ToldJob, what: str) -> None:
    """So that the others can fail."""
    kind, is_meant = FLUSHES[what]
    assert told.history(lambda change: change[0] == "sync" and is_meant(change)).faults[kind]


def test_a_removal_that_comes_early_is_found(told: ToldJob) -> None:
    removed = {change[1] for change in told.changes if change[0] == "remove" and is_artifact(change[1])}
    assert removed and len(History.of(told.changes, {}).faults["removal"]) == len(removed)
