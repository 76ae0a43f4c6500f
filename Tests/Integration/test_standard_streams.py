"""Standard output that takes nothing fails a command by name; standard error that takes nothing fails nothing."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from typing import Any, Callable

import pytest
from jobs import LOCAL, MANUAL, Inputs, Job, assert_same_output
from processes import PATIENCE, Programs, Run, last_line, only_line, succeeded
from relays import Gate

MakeJob = Callable[..., Job]


def shell(programs: Programs, *command: Any, redirect: str) -> Run[str]:
    line = shlex.join(str(part) for part in (programs.coordinator, *command))
    return subprocess.run(
        ["sh", "-c", f"{line} {redirect}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=programs.environment,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_results_that_cannot_be_printed_are_an_error(
    programs: Programs, small_result: Job, options: tuple[str, ...]
) -> None:
    done = shell(programs, "inspect", "--quantized", small_result.output, *options, redirect="> /dev/full")
    assert done.returncode == os.EX_IOERR, done.stderr
    assert only_line(done) == "crvq-coord: standard output: No space left on device"


def test_a_job_goes_on_where_nobody_can_be_told(make_job: MakeJob, small: Inputs, small_result: Job) -> None:
    job = make_job(small)
    succeeded(shell(job.programs, *job.arguments(), *LOCAL, "1", redirect="2> /dev/full"))
    assert_same_output(small_result.output, job.output)


def test_a_terminal_that_closes_ends_a_job_in_good_order(
    make_job: MakeJob, make_gate: Callable[..., Gate], small: Inputs
) -> None:
    job = make_job(small)
    gate = make_gate(job, lambda block, linear: block == 1)
    coordinator = job.start(*MANUAL)
    worker = gate.worker("one", "--patience", "60")
    gate.wait_until_it_holds()
    coordinator.send(signal.SIGHUP)
    done = coordinator.wait()
    assert done.returncode == os.EX_TEMPFAIL
    assert "SIGHUP: stopping; go on with: " in done.stderr
    assert last_line(done).startswith("crvq-coord: stopped by SIGHUP; go on with: ")
    # It was told, and does not wait for a coordinator that is gone.
    assert worker.wait().returncode == os.EX_TEMPFAIL


def test_under_nohup_a_terminal_that_closes_means_nothing(make_job: MakeJob, small: Inputs, small_result: Job) -> None:
    job = make_job(small)
    # As nohup does: the command inherits that the signal is ignored.
    coordinator = job.start(*MANUAL, prefix=["sh", "-c", 'trap "" HUP; exec "$@"', "sh"])
    endpoint = job.programs.endpoint(job.job)
    coordinator.send(signal.SIGHUP)
    job.programs.worker(endpoint, "one")
    coordinator.succeed()
    assert_same_output(small_result.output, job.output)


def test_a_bound_must_be_a_number(make_job: MakeJob, small: Inputs) -> None:
    done = make_job(small).run(*LOCAL, "1", "--max-relative-error", "inf")
    assert done.returncode == os.EX_USAGE
    assert "--max-relative-error is inf, expected more than 0" in only_line(done)


def test_a_coordinator_without_an_address_is_waited_for_and_given_up(programs: Programs) -> None:
    done = programs.run_worker("--connect", "tcp://no-such-host.invalid:7711", "--patience", "1", "--insecure")
    assert done.returncode == os.EX_TEMPFAIL
    assert last_line(done).startswith("crvq-worker: tcp://no-such-host.invalid:7711: no such host, or no way there"), done.stderr
