"""How far a job of the inputs `long` is when it is interrupted."""

from __future__ import annotations

from checkpoints import LONG
from jobs import Job
from processes import Process
from protocol import FIT
from relays import Gate

FITS = LONG.blocks * len(LONG.linears)
# Fits to wait for: some are stored, most are not.
UNDER_WAY = FITS // 4


def start_and_hold(job: Job, gate: Gate, workers: int) -> Process:
    """A coordinator with so many workers of its own; returns when it is under way, and the next result is kept back."""
    gate.let_pass(FIT, UNDER_WAY)
    coordinator = job.start(*gate.local(workers))
    job.wait_until_fitted(UNDER_WAY)
    gate.wait_until_it_holds()
    return coordinator


def assert_under_way(job: Job, fits: int = UNDER_WAY) -> None:
    """The test means what it says only if it struck before the end."""
    assert fits <= len(job.stored_fits()) < FITS
    assert not job.output.exists()
