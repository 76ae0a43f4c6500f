"""Programs whose N-th change to a file goes wrong, by native/faulty_disk.c."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs import Job


@dataclass(frozen=True)
class FaultyDisk:
    library: Path
    program: str = "crvq-coord"

    def environment(self, job: Job, at: int, kind: str = "kill") -> dict[str, str]:
        """Of a program that is struck at its change number `at` to the job's database, artifacts or output."""
        paths = [job.job / "job.sqlite", job.job / "artifacts", job.output]
        return {
            **job.programs.environment,
            "LD_PRELOAD": str(self.library),
            "FAULT_PROGRAM": self.program,
            "FAULT_PATHS": ":".join(map(str, paths)),
            "FAULT_AT": str(at),
            "FAULT_KIND": kind,
            "FAULT_COUNT": str(self.count_file(job)),
        }

    def count_file(self, job: Job) -> Path:
        return job.directory / "changes"

    def changes(self, job: Job) -> int:
        """How many changes the last program made that came to its end."""
        return int(self.count_file(job).read_text())
