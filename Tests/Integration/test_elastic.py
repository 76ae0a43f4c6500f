"""Workers that come in the middle of a job."""

from __future__ import annotations

import datetime
import time
from typing import Callable

from jobs import MANUAL, Inputs, Job, assert_same_output
from processes import query, wait_until

MakeJob = Callable[..., Job]

# What a worker that is started by hand may take until it has work, programs' start and all.
SECONDS_MAX = 5.0


def test_a_worker_added_by_hand_has_work_within_five_seconds(
    long: Inputs, long_result: Job, make_job: MakeJob
) -> None:
    job = make_job(long)
    coordinator = job.start(*MANUAL)
    first = job.worker("first")
    job.wait_until_fitted(1)
    start = time.time()
    second = job.worker("second")

    def given_out() -> list[str]:
        return [text for (text,) in query(job.job, "SELECT started_at FROM attempt WHERE worker = 'second' ORDER BY lease")]

    # As the coordinator's clock has it, which is this machine's.
    text = wait_until(given_out, "the second worker has work")[0]
    given = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc).timestamp()
    print(f"work after {given - start:.2f} s")
    assert given - start < SECONDS_MAX
    coordinator.succeed()
    first.succeed()
    second.succeed()
    assert_same_output(long_result.output, job.output)
