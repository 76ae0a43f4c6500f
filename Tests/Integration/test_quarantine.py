"""A task that takes one worker after another with it is left aside, and the job says so and can be resumed."""

from __future__ import annotations

import time
from typing import Any, Callable

from jobs import LOCAL, MANUAL, Inputs, Job, assert_same_output
from processes import last_line, succeeded, wait_until
from protocol import ASSIGN, INVENTORY, READY, WELCOME, empty_inventory, header, kind_of, ready
from zeromq import Socket

WORKERS_PER_TASK = 3


def die_with_a_task(libzmq: Any, endpoint: str, number: int) -> None:
    """A worker that joins, takes the first task there is and is never heard of again."""
    with Socket(libzmq, "dealer") as worker:
        worker.connect(endpoint)
        worker.send(header(READY), ready(f"victim-{number}", worker_id=bytes([number] * 16)))
        kinds = []
        while ASSIGN not in kinds:
            frames = worker.receive()
            assert frames is not None, kinds
            kinds.append(kind_of(frames))
            if kinds[-1] == WELCOME:
                worker.send(header(INVENTORY), empty_inventory(frames[1]))
        assert kinds[0] == WELCOME


def test_a_task_that_kills_its_workers_is_left_aside(
    small: Inputs, small_result: Job, make_job: Callable[..., Job], libzmq: Any
) -> None:
    job = make_job(small)
    coordinator = job.start(*MANUAL)
    endpoint = job.programs.endpoint(job.job)
    for number in range(1, WORKERS_PER_TASK + 1):
        die_with_a_task(libzmq, endpoint, number)
        line = f"worker victim-{number} is no longer part of the job"
        wait_until(lambda line=line: line in coordinator.stderr, f"victim {number} is missed")
        # Until its pause is over, the next would be given another task.
        time.sleep(1)
    done = coordinator.wait()
    assert done.returncode == 75
    assert done.stdout == ""
    assert "it is not tried again in this run, the rest goes on" in done.stderr
    # Without the first collect there is nothing else to do.
    assert last_line(done) == (
        "crvq-coord: the collect of block 0 for shard 0 was in the hands of 3 workers that were lost: "
        "victim-1 on nowhere, victim-2 on nowhere, victim-3 on nowhere; all else that can be done is stored; "
        f"go on with: crvq-coord resume --job {job.job} --launcher none --bind 'tcp://127.0.0.1:*'"
    )
    status = job.status()
    assert status["state"] == "interrupted"
    assert status["quarantined"] == [{"task": "collect 0/0", "workers": "victim-1, victim-2, victim-3"}]
    assert "quarantined collect of block 0 for shard 0" in job.programs.succeed("status", "--job", job.job).stdout
    succeeded(job.resume(*LOCAL, "2"))
    assert job.status()["quarantined"] == []
    assert_same_output(small_result.output, job.output)
