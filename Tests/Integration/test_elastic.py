"""Workers that come and go in the middle of a job."""

from __future__ import annotations

import math
import time
from typing import Callable

from jobs import MANUAL, Inputs, Job, assert_same_output
from processes import wait_until
from relays import Gate

MakeJob = Callable[..., Job]

# What a worker keeps of its time, seconds: AllocationEnd.reserve.
RESERVE = 20


def test_two_workers_share_what_one_began(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: Callable[..., Gate]
) -> None:
    """The second has work while the first has, whose last results are held back so long: the job does not end before."""
    job = make_job(long)
    gate = make_gate(job)
    coordinator = job.start(*MANUAL)
    first = gate.worker("first")
    job.wait_until_fitted(1)
    second = job.worker("second")
    wait_until(lambda: job.has_work("second"), "the second worker has work")
    gate.open()
    coordinator.succeed()
    first.succeed()
    second.succeed()
    assert job.workers_with_results() == {"first", "second"}
    assert_same_output(long_result.output, job.output)


def test_a_worker_leaves_before_its_allocation_ends(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: Callable[..., Gate]
) -> None:
    """It has worked until then. Its last results are held back so long: the job does not end before."""
    job = make_job(long)
    gate = make_gate(job)
    coordinator = job.start(*MANUAL)
    job.programs.endpoint(job.job)
    end = math.ceil(time.time()) + RESERVE + 20
    brief = gate.worker("brief", "--ends-at", end)
    wait_until(lambda: job.workers_with_results() == {"brief"}, "it has done a task")
    wait_until(lambda: time.time() > end - RESERVE, "it takes no further task")
    gate.open()
    assert "its allocation ends at" in brief.succeed().stderr
    lasting = job.worker("lasting")
    coordinator.succeed()
    lasting.succeed()
    assert job.workers_with_results() == {"brief", "lasting"}
    assert_same_output(long_result.output, job.output)
