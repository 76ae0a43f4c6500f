"""`--launcher ssh` against real ssh servers: the same bytes as local workers make, and coordinators, workers, connections and hosts
that die."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import namespaces
import pytest
from jobs import Inputs, Job, assert_same_output, report
from keys import Keys
from namespaces import HUB_ADDRESS, Network, inside
from processes import is_alive, last_line, local_workers, only_line, query, succeeded, wait_until
from ssh_hosts import Machines, descendants, in_namespaces, on_loopback, why_not

MakeJob = Callable[..., Job]

if reason := why_not():
    pytest.skip(reason, allow_module_level=True)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Machines]:
    (tmp_path / "ssh").mkdir()
    with on_loopback(tmp_path / "ssh") as machines:
        yield machines


def cluster(job: Job, machines: Machines, hosts: str, *more: str) -> Path:
    path = job.directory / "cluster.yaml"
    lines = ["engine: ssh", f"hosts: {hosts}", f'options: ["-F", "{machines.config}"]', *more]
    path.write_text("\n".join(lines) + "\n")
    return path


LOOPBACK = ("--bind", "tcp://127.0.0.1:*")


def test_two_workers_over_ssh_make_the_same_bytes(
    small: Inputs, small_result: Job, make_job: MakeJob, loop: Machines
) -> None:
    """Without a word about programs and keys: one is brought there, the others are made and travel inside the connection."""
    job = make_job(small)
    file = cluster(job, loop, "[loop]", "workers: 2", "threads: 1", "environment: {CRVQ_PLACE: over there}")
    succeeded(job.run("--cluster", file, *LOOPBACK))
    assert_same_output(small_result.output, job.output)
    assert {entry["worker"] for entry in report(job.output)["linears"]} <= {"loop-1", "loop-2"}
    (program,) = loop.hosts[0].home.rglob("crvq-worker")
    assert stat.S_IMODE(program.stat().st_mode) == 0o700
    # Secrets are on this machine alone, and the job's own.
    assert stat.S_IMODE((job.job / "keys" / "worker.key").stat().st_mode) == 0o600
    assert list(loop.hosts[0].home.rglob("*.key")) == []
    for pid in (pid for (pid,) in query(job.job, "SELECT pid FROM worker")):
        wait_until(lambda pid=pid: not is_alive(pid), f"worker {pid} has ended")


def test_what_runs_over_there_holds_no_secret_in_its_words(
    long: Inputs, make_job: MakeJob, loop: Machines, programs: Any
) -> None:
    job = make_job(long)
    keys = Keys.make(programs, job.directory / "keys")
    file = cluster(job, loop, "[loop]", "threads: 1", "keys: keys")
    coordinator = job.start("--cluster", file, *LOOPBACK)
    job.wait_until_fitted(1)
    seen = []
    for pid in (*descendants(coordinator.pid), *descendants(loop.hosts[0].daemon.pid)):
        for name in ("cmdline", "environ"):
            # It may have ended meanwhile.
            with contextlib.suppress(OSError):
                seen.append(Path(f"/proc/{pid}/{name}").read_bytes())
    assert any(b"crvq-worker" in text for text in seen)
    for text in seen:
        assert keys.secret("worker").encode() not in text
    worker = worker_pid(job, "loop-1")
    # The coordinator is killed: its connections go with it, and so does the worker, at once and not after 45 seconds.
    coordinator.kill()
    wait_until(lambda: not is_alive(worker), "the worker has ended")


def worker_pid(job: Job, name: str) -> int:
    """The process of the worker of that name that is part of the job."""

    def pids() -> list[int]:
        return [pid for (pid,) in query(job.job, "SELECT pid FROM worker WHERE name = ? AND left_at IS NULL", name)]

    return wait_until(pids, f"{name} has joined")[0]


@contextlib.contextmanager
def standing_still(worker: int) -> Iterator[None]:
    """What it has in hand keeps the job from its end, for a shorter time than it takes to be missed."""
    os.kill(worker, signal.SIGSTOP)
    yield
    os.kill(worker, signal.SIGCONT)


def wait_for_all(job: Job, *names: str) -> None:
    """Returns while the job is under way and all workers are part of it."""
    job.wait_until_fitted(1)
    with standing_still(wait_until(lambda: local_workers(job.job), "a worker is in the books")[0]):
        for name in names:
            worker_pid(job, name)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def connection(worker: int) -> int:
    """The server's end of the connection that brought a worker: the shell's parent."""
    return parent(parent(worker))


@pytest.mark.parametrize(
    ("victim", "what_is_said"),
    [(lambda pid: pid, "was killed by signal 9, Killed"), (connection, "ended with status 255, no connection")],
    ids=["worker", "connection"],
)
def test_a_worker_whose_end_has_come_is_started_again(
    long: Inputs, long_result: Job, make_job: MakeJob, loop: Machines, victim: Callable[[int], int], what_is_said: str
) -> None:
    """One after the other, so that the ends of all are noticed while others live."""
    job = make_job(long)
    coordinator = job.start("--cluster", cluster(job, loop, "[loop]", "workers: 2", "threads: 1"), *LOOPBACK)
    wait_for_all(job, "loop-1", "loop-2")
    for name, other in (("loop-1", "loop-2"), ("loop-2", "loop-1")):
        old = worker_pid(job, name)
        with standing_still(worker_pid(job, other)):
            os.kill(victim(old), signal.SIGKILL)
            said = f"worker {name} {what_is_said}"
            wait_until(lambda said=said: said in coordinator.stderr, f"the end of {name} is noticed")
            wait_until(lambda name=name, old=old: worker_pid(job, name) != old, f"{name} is there again")
    coordinator.succeed()
    assert_same_output(long_result.output, job.output)


def test_a_host_that_goes_and_comes_back(long: Inputs, long_result: Job, make_job: MakeJob, loop: Machines) -> None:
    """It is the only one: without it the job waits."""
    job = make_job(long)
    coordinator = job.start("--cluster", cluster(job, loop, "[loop]", "workers: 2", "threads: 1"), *LOOPBACK)
    job.wait_until_fitted(1)
    (host,) = loop.hosts
    host.kill()
    for name in ("loop-1", "loop-2"):
        refused = f"worker {name} ended with status 255, no connection: ssh: connect to host"
        wait_until(lambda refused=refused: refused in coordinator.stderr, f"{name} is tried again")
    host.start()
    coordinator.succeed()
    assert_same_output(long_result.output, job.output)


def test_one_of_three_hosts_dies(
    long: Inputs, long_result: Job, make_job: MakeJob, tmp_path: Path
) -> None:
    """Without a word: its cable is pulled, and then all that runs there is killed. Nobody starts its work again but the others."""
    if reason := namespaces.why_not():
        pytest.skip(f"this machine does not let us make network namespaces: {reason}")
    (tmp_path / "ssh").mkdir()
    with Network(3) as network, in_namespaces(network, tmp_path / "ssh") as machines:
        job = make_job(long)
        program = f"program: {job.programs.worker_program}"
        file = cluster(job, machines, "[node0, node1, node2]", "threads: 1", f"interface: {HUB_ADDRESS}", program)
        coordinator = job.start("--cluster", file, prefix=inside(network.hub))
        wait_for_all(job, "node0-1", "node1-1", "node2-1")
        network.pull_cable(1)
        machines.hosts[1].kill()
        coordinator.succeed()
        assert "worker node1-1 is no longer part of the job" in coordinator.stderr
    assert_same_output(long_result.output, job.output)


def test_a_host_that_never_was_does_not_stop_the_rest(
    small: Inputs, small_result: Job, make_job: MakeJob, loop: Machines
) -> None:
    loop.write_config("Host gone\n  HostName 127.0.0.1\n  Port 1\n")
    job = make_job(small)
    file = cluster(job, loop, "[gone, loop]", "threads: 1")
    done = succeeded(job.run("--cluster", file, *LOOPBACK))
    assert "gone: ssh: connect to host 127.0.0.1 port 1: Connection refused" in done.stderr
    assert_same_output(small_result.output, job.output)


def test_no_host_at_all_is_one_line(small: Inputs, make_job: MakeJob, loop: Machines) -> None:
    loop.write_config("Host gone\n  HostName 127.0.0.1\n  Port 1\n")
    job = make_job(small)
    done = job.run("--cluster", cluster(job, loop, "[gone]"), *LOOPBACK)
    assert done.returncode == 74
    assert only_line(done) == "crvq-coord: gone: ssh: connect to host 127.0.0.1 port 1: Connection refused"
    assert not job.job.exists()


def test_a_program_that_is_not_there(small: Inputs, make_job: MakeJob, loop: Machines) -> None:
    job = make_job(small)
    done = job.run("--cluster", cluster(job, loop, "[loop]", "program: /opt/none/crvq-worker"), *LOOPBACK)
    assert done.returncode == 64
    assert last_line(done) == "crvq-coord: loop: /opt/none/crvq-worker: not there, or not a program"


def test_a_dry_run_asks_the_hosts(small: Inputs, make_job: MakeJob, loop: Machines) -> None:
    job = make_job(small)
    hosts = "[{host: loop, workers: 2, threads: 3}]"
    file = cluster(job, loop, hosts, f"program: {job.programs.worker_program}")
    done = succeeded(job.run("--cluster", file, "--dry-run", "--measure-seconds", "0.5", "--json"))
    (place,) = json.loads(done.stdout)["places"]
    assert (place["name"], place["workers"], place["threads"]) == ("loop", 2, 3)
    assert place["gigaflops_per_thread"] > 0 and done.stderr == ""
    done = succeeded(job.run("--cluster", cluster(job, loop, hosts), "--dry-run", "--measure-seconds", "0.5"))
    assert done.stderr == "loop: has no crvq-worker yet; its speed is taken to be this machine's\n"
    file = cluster(job, loop, "[loop]", "memory: 1M")
    line = only_line(job.run("--cluster", file, "--dry-run"))
    assert line.startswith("crvq-coord: a worker on loop: a worker needs "), line
