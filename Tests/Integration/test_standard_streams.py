"""Standard output that takes nothing fails a command by name; standard error that takes nothing fails nothing."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from jobs import LOCAL, MANUAL, Inputs, Job, assert_same_output
from processes import PATIENCE, Programs, Run, last_line, only_line, succeeded
from protocol import FIT
from relays import Gate

MakeJob = Callable[..., Job]


def shell(programs: Programs, *command: Any, redirect: str, program: Path | None = None) -> Run[str]:
    line = shlex.join(str(part) for part in (program or programs.coordinator, *command))
    return subprocess.run(
        ["sh", "-c", f"{line} {redirect}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=programs.environment,
        stdin=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def pipe_without_a_reader() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def run(programs: Programs, *command: Any, **streams: Any) -> Run[str]:
    arguments = [str(part) for part in (programs.coordinator, *command)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run(arguments, text=True, check=False, timeout=PATIENCE, env=programs.environment, **streams)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_results_that_cannot_be_printed_are_an_error(
    programs: Programs, small_result: Job, options: tuple[str, ...]
) -> None:
    done = shell(programs, "inspect", "--quantized", small_result.output, *options, redirect="> /dev/full")
    assert done.returncode == os.EX_IOERR, done.stderr
    assert only_line(done) == "crvq-coord: standard output: No space left on device"


def test_results_that_nobody_reads_are_an_error(programs: Programs, small_result: Job) -> None:
    with pipe_without_a_reader() as pipe:
        done = run(programs, "inspect", "--quantized", small_result.output, stdout=pipe)
    assert done.returncode == os.EX_IOERR
    assert done.stderr == "crvq-coord: standard output: Broken pipe\n"


def test_results_wait_for_a_slow_reader(programs: Programs, small_result: Job) -> None:
    """Also where the pipe is full and does not wait by itself."""
    command = ("inspect", "--quantized", small_result.output, "--json")
    expected = programs.succeed(*command).stdout
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += os.write(writer, b"." * 4096)
    arguments = [str(part) for part in (programs.coordinator, *command)]
    with subprocess.Popen(arguments, stdout=writer, stderr=subprocess.PIPE, env=programs.environment) as process:
        os.close(writer)
        # Long enough for the program to meet the full pipe.
        time.sleep(1)
        with open(reader, "rb") as file:
            printed = file.read()
        assert process.wait(PATIENCE) == 0, process.stderr and process.stderr.read()
    assert printed[filled:].decode() == expected


def test_results_for_a_closed_output_are_an_error(programs: Programs, small_result: Job) -> None:
    """Whatever has its descriptor: the null device, or what Swift's runtime opens before the program begins."""
    done = shell(programs, "inspect", "--quantized", small_result.output, redirect=">&-")
    assert done.returncode == os.EX_IOERR, done.stderr
    assert only_line(done).startswith("crvq-coord: standard output: ")
    done = shell(programs, "--measure", "0.01", redirect=">&-", program=programs.worker_program)
    assert done.returncode == os.EX_IOERR, done.stderr
    assert only_line(done).startswith("crvq-worker: standard output: ")


def test_a_job_goes_on_where_its_listener_is_gone(make_job: MakeJob, small: Inputs, small_result: Job) -> None:
    job = make_job(small)
    with pipe_without_a_reader() as pipe:
        done = run(job.programs, *job.arguments(), *LOCAL, "1", stderr=pipe)
    assert done.returncode == 0
    assert_same_output(small_result.output, job.output)


@pytest.mark.parametrize("redirect", ["<&-", "2>&-", "<&- 2>&-"])
def test_a_job_does_without_streams(make_job: MakeJob, small: Inputs, small_result: Job, redirect: str) -> None:
    """None of its files gets into their place, and what people are told not into its files."""
    job = make_job(small)
    succeeded(shell(job.programs, *job.arguments(), *LOCAL, "1", redirect=redirect))
    assert_same_output(small_result.output, job.output)


def test_a_job_goes_on_where_nobody_can_be_told(make_job: MakeJob, small: Inputs, small_result: Job) -> None:
    job = make_job(small)
    succeeded(shell(job.programs, *job.arguments(), *LOCAL, "1", redirect="2> /dev/full"))
    assert_same_output(small_result.output, job.output)


def test_a_terminal_that_closes_ends_a_job_in_good_order(
    make_job: MakeJob, make_gate: Callable[..., Gate], small: Inputs
) -> None:
    job = make_job(small)
    gate = make_gate(job, lambda task: (task.kind, task.block) == (FIT, 1))
    # These tests may themselves run under nohup.
    coordinator = job.start(*MANUAL, prefix=["env", "--default-signal=HUP"])
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
    assert "--max-relative-error is inf, expected a finite number above 0" in only_line(done)


def test_a_coordinator_without_an_address_is_waited_for_and_given_up(programs: Programs) -> None:
    done = programs.run_worker("--connect", "tcp://no-such-host.invalid:7711", "--patience", "1", "--insecure")
    assert done.returncode == os.EX_TEMPFAIL
    assert last_line(done).startswith("crvq-worker: tcp://no-such-host.invalid:7711: no such host, or no way there"), done.stderr


@contextlib.contextmanager
def full_pipe() -> Iterator[int]:
    """One that takes nothing more, because nobody reads."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    yield writer
    os.close(reader)
    os.close(writer)


def test_a_job_goes_on_where_its_listener_stands_still(make_job: MakeJob, small: Inputs, small_result: Job) -> None:
    job = make_job(small)
    with full_pipe() as pipe:
        done = run(job.programs, *job.arguments(), *LOCAL, "1", stderr=pipe)
    assert done.returncode == 0
    assert "next: crvq-coord evaluate" in done.stdout
    assert_same_output(small_result.output, job.output)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_job_whose_listener_stands_still_can_be_stopped(
    make_job: MakeJob, small: Inputs, number: signal.Signals
) -> None:
    """The line that it waits for workers has no place any more, nor has the one that it stops."""
    job = make_job(small)
    command = [str(part) for part in (job.programs.coordinator, *job.arguments(), *MANUAL)]
    with full_pipe() as pipe:
        coordinator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=pipe, env=job.programs.environment)
        try:
            job.programs.endpoint(job.job)
            coordinator.send_signal(number)
            assert coordinator.wait(PATIENCE) == os.EX_TEMPFAIL
        finally:
            coordinator.kill()
            coordinator.wait()
