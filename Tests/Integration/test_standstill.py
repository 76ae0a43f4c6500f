"""A coordinator that stands still for longer than its workers wait for a word: they have made new connections when it goes on."""

from __future__ import annotations

import time
from typing import Callable

from checkpoints import LASTING
from jobs import MANUAL, Inputs, Job, assert_same_output
from processes import query

MakeJob = Callable[..., Job]
# Longer than a worker may be silent (SchedulerPolicy.heartbeatTimeout), and than it takes a silent connection for a living one
# (WorkerLink.Clocks.silence), seconds.
STANDSTILL = 12


def test_a_coordinator_that_stood_still_loses_nobody(
    lasting: Inputs, lasting_result: Job, make_job: MakeJob
) -> None:
    """No gate stands between: it would keep the old connections."""
    job = make_job(lasting)
    coordinator = job.start(*MANUAL)
    workers = [job.worker("one"), job.worker("two")]
    job.wait_until_fitted(1)
    with coordinator.standing_still():
        assert len(job.stored_fits()) < LASTING.blocks * len(LASTING.linears)
        time.sleep(STANDSTILL)
    done = coordinator.succeed()
    for worker in workers:
        worker.succeed()
    assert "was lost" not in done.stderr
    assert "no longer part of the job" not in done.stderr
    assert query(job.job, "SELECT COUNT(*) FROM attempt WHERE outcome = 'lost'") == [(0,)]
    assert query(job.job, "SELECT COUNT(*) FROM worker") == [(2,)]
    assert_same_output(lasting_result.output, job.output)
