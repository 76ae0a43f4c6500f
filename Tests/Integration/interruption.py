"""How far a job of the inputs `long` is when it is interrupted."""

from __future__ import annotations

from checkpoints import LONG
from jobs import Job

FITS = LONG.blocks * len(LONG.linears)
# Fits to wait for: some are stored, most are not.
UNDER_WAY = FITS // 4


def assert_under_way(job: Job, fits: int = UNDER_WAY) -> None:
    """The test means what it says only if it struck before the end."""
    assert fits <= len(job.stored_fits()) < FITS
    assert not job.output.exists()
