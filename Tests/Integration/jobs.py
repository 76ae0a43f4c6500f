"""Whole jobs: their inputs, how one is started, and what two of them must have in common."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import (
    Arguments,
    Process,
    Programs,
    Run,
    free_ports,
    json_object,
    local_workers,
    query,
    succeeded,
    wait_until,
)

REPORT = "crvq_report.json"
LOCAL = ("--launcher", "local", "--workers")
# Any free port, and workers that the test starts.
MANUAL = ("--launcher", "none", "--bind", "tcp://127.0.0.1:*")
# How long a lease lasts without a word of its task, seconds: SchedulerPolicy.leaseDuration.
LEASE = 120
# Of an evaluation: of the 64 tokens of a sequence two windows are cut, and 14 are left over.
WINDOW = 25
# Windows to wait for: some are stored, most are not.
WINDOWS_UNDER_WAY = 4


def by_hand() -> tuple[str, ...]:
    """As MANUAL, for a coordinator whose successor has the same port: nobody takes it in between."""
    return "--launcher", "none", "--bind", f"tcp://127.0.0.1:{free_ports(1)[0]}"


@dataclass(frozen=True)
class Inputs:
    model: Path
    tokens: Path

    def options(self) -> list[Arguments]:
        return ["--model", self.model, "--calibration", self.tokens]


@dataclass(frozen=True)
class Job:
    """A job's inputs and the places of its output and its directory."""

    programs: Programs
    inputs: Inputs
    directory: Path
    options: tuple[Arguments, ...] = field(default=())

    @property
    def output(self) -> Path:
        return self.directory / "out"

    @property
    def job(self) -> Path:
        return self.directory / "job"

    def arguments(self) -> list[Arguments]:
        places = ["--output", self.output, "--job", self.job]
        return ["launch", *self.inputs.options(), *places, *self.options]

    def run(self, *options: Arguments, **how: Any) -> Run[str]:
        return self.programs.run(*self.arguments(), *options, **how)

    def start(self, *options: Arguments, **how: Any) -> Process:
        return self.programs.start(*self.arguments(), *options, **how)

    def resume(self, *options: Arguments, **how: Any) -> Run[str]:
        return self.programs.run("resume", "--job", self.job, *options, **how)

    def status(self) -> dict[str, Any]:
        return self.programs.status(self.job)

    def attempts(self, outcome: str) -> int:
        """How many ended like that, of all kinds, by the status."""
        return sum(outcomes.get(outcome, 0) for outcomes in self.status()["attempts"].values())

    def wait_until_fitted(self, count: int) -> None:
        """Returns while the job is under way, `count` fits stored and more to come."""
        wait_until(lambda: self.status().get("fits", 0) >= count, f"{count} linears are fitted")

    def kill(self, coordinator: Process) -> None:
        """The machine dies: the coordinator and all workers that it has started."""
        for pid in (coordinator.pid, *local_workers(self.job)):
            # Without its coordinator a worker ends by itself.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        coordinator.wait()

    def kill_worker_of(self, lease: int) -> None:
        """Kills the worker that has this lease, whose result is kept back; returns when it is missed."""
        sql = "SELECT worker FROM attempt WHERE lease = ?"
        ((name,),) = wait_until(lambda: query(self.job, sql, lease), f"lease {lease} is in the books")
        os.kill(self.pid_of(name), signal.SIGKILL)
        outcome = "SELECT outcome FROM attempt WHERE lease = ? AND ended_at IS NOT NULL"
        ended = wait_until(lambda: query(self.job, outcome, lease), f"the end of {name} is noticed")
        assert ended == [("lost",)], ended

    def pid_of(self, worker: str) -> int:
        """Of the last process of that name that joined."""
        return query(self.job, "SELECT pid FROM worker WHERE name = ? ORDER BY joined_at DESC LIMIT 1", worker)[0][0]

    def worker(self, name: str, *options: Arguments) -> Process:
        return self.programs.worker(self.programs.endpoint(self.job), name, *options)

    def has_joined(self, worker: str) -> bool:
        """Whether a worker of that name is, or was, part of the job."""
        return bool(query(self.job, "SELECT 1 FROM worker WHERE name = ? LIMIT 1", worker))

    def has_work(self, worker: str) -> bool:
        """Whether the worker of that name has been given a task."""
        return bool(query(self.job, "SELECT 1 FROM attempt WHERE worker = ? LIMIT 1", worker))

    def workers_with_results(self) -> set[str]:
        return {name for (name,) in query(self.job, "SELECT worker FROM attempt WHERE outcome = 'done'")}

    def stored_fits(self) -> set[tuple[int, int]]:
        """Block and linear of every fit that is stored."""
        return set(query(self.job, "SELECT block, part FROM result WHERE kind = 'fit'"))

    def fit_attempts(self, after_lease: int = 0) -> list[tuple[int, int]]:
        """Block and linear of every fit that was given out."""
        return query(self.job, "SELECT block, part FROM attempt WHERE kind = 'fit' AND lease > ?", after_lease)

    def last_lease(self) -> int:
        return query(self.job, "SELECT next_lease FROM job")[0][0] - 1


def assert_no_lease_ran_out_twice(job: Job) -> None:
    """A task may be given out again when nothing is heard of it for the time of a lease, and the next attempt must do."""
    sql = (
        "SELECT kind, block, part FROM attempt WHERE outcome = 'cancelled' "
        "AND (julianday(ended_at) - julianday(started_at)) * 86400 >= ? GROUP BY kind, block, part HAVING COUNT(*) > 1"
    )
    assert query(job.job, sql, LEASE - 1) == []


def longest_silence(job: Job) -> float:
    """The longest time without a result, seconds."""
    times = [time for (time,) in query(job.job, "SELECT julianday(ended_at) * 86400 FROM attempt WHERE outcome = 'done'")]
    times.sort()
    return max((later - earlier for earlier, later in zip(times, times[1:])), default=0)


def report(output: Path) -> dict[str, Any]:
    return json.loads((output / REPORT).read_text())


def without_names_and_times(value: Any) -> Any:
    """A report as far as it must not depend on who did the work and how fast."""
    if isinstance(value, dict):
        return {
            key: without_names_and_times(item)
            for key, item in value.items()
            if key not in ("seconds", "fit_seconds", "worker", "output")
        }
    return [without_names_and_times(item) for item in value] if isinstance(value, list) else value


def assert_same_output(expected: Path, got: Path) -> None:
    """Byte for byte the same, the report's timings and names aside."""
    names = sorted(path.name for path in expected.iterdir())
    assert sorted(path.name for path in got.iterdir()) == names
    for name in names:
        if name != REPORT:
            assert (got / name).read_bytes() == (expected / name).read_bytes(), name
    assert without_names_and_times(report(got)) == without_names_and_times(report(expected))


@dataclass(frozen=True)
class Evaluation:
    programs: Programs
    model: Path
    tokens: Path
    window: int = WINDOW

    def arguments(self, *options: Any) -> list[Any]:
        return ["evaluate", "--model", self.model, "--tokens", self.tokens, "--window", self.window, *options]

    def run(self, *options: Any) -> Run[str]:
        return self.programs.run(*self.arguments(*options))

    def start(self, *options: Any) -> Process:
        return self.programs.start(*self.arguments(*options))

    def measure(self, *options: Any) -> tuple[float, int]:
        return measured(self.run("--json", *options))

    @property
    def directory(self) -> Path:
        return self.programs.directory

    @property
    def job(self) -> Path:
        """The directory of the one that runs."""
        return self.wait_for_directory()

    @property
    def places(self) -> list[Path]:
        return list(self.programs.temporary.glob("crvq-evaluate-*"))

    def wait_for_directory(self) -> Path:
        return wait_until(lambda: next(iter(self.places), None), "the evaluation has a directory")

    def wait_until_under_way(self) -> Path:
        """Returns while some windows are done and more are to come."""
        directory = self.wait_for_directory()
        wait_until(lambda: self.evaluated(directory) >= WINDOWS_UNDER_WAY, f"{WINDOWS_UNDER_WAY} windows are done")
        return directory

    def evaluated(self, directory: Path) -> int:
        return self.programs.status(directory).get("evaluated_windows", 0)

    def assert_nothing_stays(self) -> None:
        assert list(self.programs.temporary.iterdir()) == []


def measured(done: Run[str]) -> tuple[float, int]:
    """Perplexity and tokens. Floats are printed so that they are read back to the last bit."""
    result = json_object(succeeded(done))
    assert sorted(result) == ["perplexity", "seconds", "tokens"]
    assert result["seconds"] > 0
    return result["perplexity"], result["tokens"]
