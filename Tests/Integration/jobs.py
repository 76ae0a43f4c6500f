"""Whole jobs: their inputs, how one is started, and what two of them must have in common."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import Arguments, Process, Programs, Run, local_workers, query, wait_until

REPORT = "crvq_report.json"
LOCAL = ("--launcher", "local", "--workers")
# Any free port, and workers that the test starts.
MANUAL = ("--launcher", "none", "--bind", "tcp://127.0.0.1:*")


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

    def wait_until_fitted(self, count: int) -> None:
        """Returns while the job is under way, `count` fits stored and more to come."""
        wait_until(lambda: self.status().get("fits", 0) >= count, f"{count} linears are fitted")

    def kill(self, coordinator: Process) -> None:
        """The machine dies: the coordinator and all workers that it has started."""
        for pid in (coordinator.pid, *local_workers(self.job)):
            os.kill(pid, signal.SIGKILL)
        coordinator.wait()

    def kill_worker_of(self, kind: str) -> None:
        """Kills the worker that was given a task of this kind last."""
        name = query(self.job, "SELECT worker FROM attempt WHERE kind = ? ORDER BY lease DESC LIMIT 1", kind)[0][0]
        pid = query(self.job, "SELECT pid FROM worker WHERE name = ? ORDER BY joined_at DESC LIMIT 1", name)[0][0]
        os.kill(pid, signal.SIGKILL)

    def worker(self, name: str, *options: Arguments) -> Process:
        return self.programs.worker(self.programs.endpoint(self.job), name, *options)

    def stored_fits(self) -> set[tuple[int, int]]:
        """Block and linear of every fit that is stored."""
        return set(query(self.job, "SELECT block, part FROM result WHERE kind = 'fit'"))

    def fit_attempts(self, after_lease: int = 0) -> list[tuple[int, int]]:
        """Block and linear of every fit that was given out."""
        return query(self.job, "SELECT block, part FROM attempt WHERE kind = 'fit' AND lease > ?", after_lease)

    def last_lease(self) -> int:
        return query(self.job, "SELECT next_lease FROM job")[0][0] - 1


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
