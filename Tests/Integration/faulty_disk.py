"""Programs whose N-th change to a file goes wrong, and which tell their changes, by native/faulty_disk.c."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs import Job


@dataclass(frozen=True)
class FaultyDisk:
    library: Path

    def environment(
        self, job: Job, at: int, kind: str = "kill", program: str = "crvq-coord", paths: tuple[Path, ...] = ()
    ) -> dict[str, str]:
        """Of a program of which one process is struck at its change number `at`: to the job's database, artifacts or output, or
        to what lies under the paths."""
        self.mark_file(job).unlink(missing_ok=True)
        concerned = paths or (job.job / "job.sqlite", job.job / "artifacts", job.output)
        return {
            **job.programs.environment,
            "LD_PRELOAD": str(self.library),
            "FAULT_PROGRAM": program,
            "FAULT_PATHS": ":".join(map(str, concerned)),
            "FAULT_AT": str(at),
            "FAULT_KIND": kind,
            "FAULT_ONCE": str(self.mark_file(job)),
            "FAULT_COUNT": str(self.count_file(job)),
        }

    def telling(self, job: Job) -> dict[str, str]:
        """Of a program that nothing happens to, and whose changes to what is in the job's place are told."""
        return {**self.environment(job, at=0, paths=(job.directory,)), "FAULT_LOG": str(self.log_file(job))}

    def mark_file(self, job: Job) -> Path:
        return job.directory / "struck"

    def count_file(self, job: Job) -> Path:
        return job.directory / "changes"

    def log_file(self, job: Job) -> Path:
        return job.directory / "changes.log"

    def has_struck(self, job: Job) -> bool:
        """Whether a process came so far since the environment was made."""
        return self.mark_file(job).exists()

    def changes(self, job: Job) -> int:
        """How many changes the last program made that came to its end."""
        return int(self.count_file(job).read_text())

    def log(self, job: Job) -> list[list[str]]:
        """The changes that were told, in order."""
        return [line.split("\t") for line in self.log_file(job).read_text().splitlines()]
