"""Coordinators that are killed, stopped or told to end in the middle of a job: nothing fitted is lost, no byte changes.

Their workers are behind a gate, so that none is too late.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
from typing import Callable

import pytest
from checkpoints import LONG
from interruption import FITS, UNDER_WAY, assert_under_way, start_and_hold
from jobs import LOCAL, MANUAL, Inputs, Job, assert_same_output, by_hand
from processes import is_alive, local_workers, only_line, query, succeeded, wait_until
from protocol import FIT
from relays import Gate

MakeJob = Callable[..., Job]
MakeGate = Callable[..., Gate]


def resume_and_compare(job: Job, expected: Job) -> None:
    """Resumes, and sees that what was stored was neither fitted again nor changed, and that what was in hand is given up."""
    stored = set(query(job.job, "SELECT block, part, digest FROM result WHERE kind = 'fit'"))
    kept = {(block, part) for block, part, _ in stored}
    lease = job.last_lease()
    ((in_hand,),) = query(job.job, "SELECT COUNT(*) FROM attempt WHERE ended_at IS NULL")
    succeeded(job.resume(*LOCAL, "2"))
    assert_same_output(expected.output, job.output)
    again = job.fit_attempts(after_lease=lease)
    assert set(again) == {(block, part) for block in range(LONG.blocks) for part in range(7)} - kept
    assert stored <= set(query(job.job, "SELECT block, part, digest FROM result WHERE kind = 'fit'"))
    status = job.status()
    assert (status["state"], status["fits"]) == ("finished", FITS)
    assert query(job.job, "SELECT * FROM attempt WHERE ended_at IS NULL AND lease <= ?", lease) == []
    assert job.attempts("abandoned") == in_hand


def test_a_killed_coordinator_is_resumed(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    job = make_job(long)
    gate = make_gate(job)
    coordinator = start_and_hold(job, gate, workers=2)
    workers = wait_until(lambda: len(pids := local_workers(job.job)) == 2 and pids, "both workers are part of the job")
    coordinator.kill()
    assert_under_way(job)
    status = job.status()
    assert (status["state"], status.get("endpoint")) == ("interrupted", None)
    assert job.attempts("running") > 0
    assert [(worker["name"], worker["tasks"]) for worker in status["workers"]] == [("local-1", []), ("local-2", [])]
    for pid in workers:
        wait_until(lambda pid=pid: not is_alive(pid), f"worker {pid} has followed its coordinator")
    resume_and_compare(job, long_result)


@pytest.mark.parametrize("end", ["coordinator killed", "everything killed", "coordinator stopped"])
def test_passes_that_lie_in_caches_are_not_run_again(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate, end: str
) -> None:
    """Whoever made them: the workers of the resumed job are other processes. What lies with the one that comes last may be run
    again before it is there."""
    job = make_job(long)
    coordinator = job.start(*make_gate(job).local(2))
    job.wait_until_fitted(UNDER_WAY)
    workers = local_workers(job.job)
    if end == "everything killed":
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
    if end == "coordinator stopped":
        coordinator.send(signal.SIGTERM)
        assert coordinator.wait().returncode == 75
    else:
        coordinator.kill()
    assert_under_way(job)
    # A cache is free when its process has ended.
    for pid in workers:
        wait_until(lambda pid=pid: not is_alive(pid), f"worker {pid} has followed its coordinator")
    resume_and_compare(job, long_result)
    sql = (
        "SELECT kind, block, part, COUNT(*) AS times, MAX(started_at) AS again FROM attempt WHERE outcome = 'done' "
        "AND kind IN ('collect', 'recollect') GROUP BY kind, block, part "
        "HAVING times > 1 AND again > (SELECT MAX(joined_at) FROM worker)"
    )
    assert query(job.job, sql) == []
    # When the job is done nothing of it is left.
    assert list((job.programs.directory / "tmp").iterdir()) == []


def test_everything_killed_at_once_is_resumed(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    job = make_job(long)
    coordinator = job.start(*make_gate(job).local(2))
    job.wait_until_fitted(UNDER_WAY)
    job.kill(coordinator)
    assert_under_way(job)
    resume_and_compare(job, long_result)


def test_a_coordinator_killed_again_and_again_gets_there(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    job = make_job(long)
    gate = make_gate(job)
    options = gate.local(2)
    coordinator = job.start(*options)
    for fits in (1, FITS // 3, FITS // 2):
        job.wait_until_fitted(fits)
        coordinator.kill()
        assert_under_way(job, fits)
        coordinator = job.programs.start("resume", "--job", job.job, *options)
    gate.open()
    coordinator.succeed()
    assert_same_output(long_result.output, job.output)


def test_workers_by_hand_outlive_their_coordinator(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """The coordinator is killed and resumed on the same port; its workers serve on. Of one no fit is known until then."""
    job = make_job(long)
    gate = make_gate(job, lambda task: task.kind == FIT)
    manual = by_hand()
    coordinator = job.start(*manual)
    workers = [gate.worker("one")]
    gate.wait_until_it_holds()
    workers.append(job.worker("two"))
    job.wait_until_fitted(1)
    coordinator.kill()
    assert_under_way(job, fits=1)
    gate.open()
    succeeded(job.resume(*manual))
    for worker in workers:
        worker.succeed()
    assert_same_output(long_result.output, job.output)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_coordinator_told_to_end_says_how_to_go_on(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate, number: signal.Signals
) -> None:
    job = make_job(long)
    gate = make_gate(job)
    options = gate.local(2)
    coordinator = job.start(*options)
    job.wait_until_fitted(UNDER_WAY)
    workers = local_workers(job.job)
    coordinator.send(number)
    done = coordinator.wait()
    assert done.returncode == 75
    assert_under_way(job)
    assert done.stdout == ""
    assert not [pid for pid in workers if is_alive(pid)]
    last = done.stderr.splitlines()[-1]
    assert last.startswith("crvq-coord: stopped by ")
    command = shlex.split(last.split("go on with: ")[1])
    assert command == ["crvq-coord", "resume", "--job", str(job.job), *map(str, options)]
    gate.pass_by()
    succeeded(job.programs.run(*command[1:]))
    assert_same_output(long_result.output, job.output)


def test_a_second_signal_ends_a_coordinator_at_once(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """The first one waits for workers to say goodbye, and the only one stands still."""
    job = make_job(long)
    coordinator = job.start(*MANUAL)
    worker = make_gate(job).worker("still")
    job.wait_until_fitted(UNDER_WAY)
    worker.send(signal.SIGSTOP)
    # Both wait until it goes on, so the second comes right after the first.
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        coordinator.send(number)
    done = coordinator.wait()
    assert done.returncode == 75
    # Without the line that it ends with in good order.
    assert "crvq-coord: stopped by" not in done.stderr
    worker.kill()
    succeeded(job.resume(*LOCAL, "2"))
    assert_same_output(long_result.output, job.output)


def test_an_interrupted_job_has_one_coordinator(long: Inputs, make_job: MakeJob, make_gate: MakeGate) -> None:
    job = make_job(long)
    gate = make_gate(job)
    coordinator = job.start(*gate.local(2))
    job.wait_until_fitted(1)
    refused = job.resume(*LOCAL, "1")
    assert refused.returncode == 75
    assert only_line(refused) == (
        f"crvq-coord: {job.job}: another coordinator (process {coordinator.pid} on {socket.gethostname()}) "
        "is running this job; wait for it or stop it first"
    )
    gate.open()
    coordinator.succeed()
