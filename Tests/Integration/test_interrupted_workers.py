"""Workers that are killed, stopped or told to end in the middle of a job: nothing fitted is lost, no byte changes.

They are behind a gate, so that none is too late.
"""

from __future__ import annotations

import os
import signal
from typing import Callable

from interruption import FITS, UNDER_WAY, assert_under_way, start_and_hold
from jobs import MANUAL, Inputs, Job, assert_same_output, report
from processes import wait_until
from relays import Gate

MakeJob = Callable[..., Job]
MakeGate = Callable[..., Gate]


def test_a_killed_worker_is_started_again(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    job = make_job(long)
    gate = make_gate(job)
    coordinator = start_and_hold(job, gate, workers=2)
    job.kill_worker_of(gate.wait_until_it_holds())
    assert_under_way(job)
    again = "was killed by signal 9, Killed; starting it again"
    wait_until(lambda: again in coordinator.stderr, "it is started again")
    gate.open()
    coordinator.succeed()
    assert job.attempts("lost") >= 1
    assert_same_output(long_result.output, job.output)


def test_a_local_worker_that_stands_still_for_good_is_replaced(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """It is the only one: without another in its place the job would wait for ever."""
    job = make_job(long)
    gate = make_gate(job)
    coordinator = start_and_hold(job, gate, workers=1)
    still = job.pid_of("local-1")
    os.kill(still, signal.SIGSTOP)
    gate.open()
    done = coordinator.succeed()
    assert "worker local-1 is no longer part of the job: no word for" in done.stderr
    assert "worker local-1 has been silent for 30 s more: its process is killed" in done.stderr
    assert "worker local-1 was killed by signal 9, Killed; starting it again" in done.stderr
    assert job.pid_of("local-1") != still
    assert_same_output(long_result.output, job.output)


def test_a_killed_worker_that_stays_away_is_done_without(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """What it has fitted stays."""
    job = make_job(long)
    gate = make_gate(job)
    coordinator = job.start(*MANUAL)
    victim = gate.worker("victim")
    job.wait_until_fitted(UNDER_WAY)
    survivor = gate.worker("survivor")
    wait_until(lambda: job.has_work("survivor"), "both have work")
    victim.kill()
    assert_under_way(job)
    gate.open()
    coordinator.succeed()
    survivor.succeed()
    assert_same_output(long_result.output, job.output)
    assert {entry["worker"] for entry in report(job.output)["linears"]} == {"victim", "survivor"}


def test_a_worker_told_to_end_says_goodbye(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    job = make_job(long)
    gate = make_gate(job)
    coordinator = job.start(*MANUAL)
    leaver, stayer = gate.worker("leaver"), gate.worker("stayer")
    job.wait_until_fitted(UNDER_WAY)
    wait_until(lambda: job.has_work("leaver"), "the leaver has work")
    leaver.send(signal.SIGTERM)
    leaver.succeed()
    assert_under_way(job)
    gate.open()
    done = coordinator.succeed()
    stayer.succeed()
    assert "worker leaver left: stopped by SIGTERM" in done.stderr
    assert_same_output(long_result.output, job.output)


def test_workers_that_stand_still_come_back(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """Their silence is longer than the coordinator waits; both are given up, and taken in again."""
    job = make_job(long)
    gate = make_gate(job)
    coordinator = job.start(*MANUAL)
    workers = [gate.worker("one"), gate.worker("two")]
    job.wait_until_fitted(UNDER_WAY)
    wait_until(lambda: job.has_work("one") and job.has_work("two"), "both have work")
    for worker in workers:
        worker.send(signal.SIGSTOP)
    for name in ("one", "two"):
        said = f"worker {name} is no longer part of the job"
        wait_until(lambda said=said: said in coordinator.stderr, f"the silence of {name} is noticed")
    assert_under_way(job)
    for worker in workers:
        worker.send(signal.SIGCONT)
    gate.open()
    coordinator.succeed()
    for worker in workers:
        worker.succeed()
    assert_same_output(long_result.output, job.output)


def test_one_of_two_workers_stands_still_and_comes_back(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate
) -> None:
    """The other goes on meanwhile: what it waits for from the one that stands still it gives up and makes itself."""
    job = make_job(long)
    gate = make_gate(job)
    coordinator = job.start(*MANUAL)
    still, busy = gate.worker("still"), gate.worker("busy")
    job.wait_until_fitted(UNDER_WAY)
    wait_until(lambda: job.has_work("still"), "the one to be stopped has work")
    still.send(signal.SIGSTOP)
    assert_under_way(job)
    wait_until(lambda: "worker still is no longer part of the job" in coordinator.stderr, "the silence is noticed")
    fitted = len(job.stored_fits())
    gate.open()
    job.wait_until_fitted(min(fitted + 1, FITS))
    still.send(signal.SIGCONT)
    done = coordinator.succeed()
    busy.succeed()
    still.succeed()
    # A fetch that runs into its timeout is one that somebody waited for.
    assert "no answer at byte" not in done.stderr
    assert_same_output(long_result.output, job.output)
