"""Peers that send garbage, too much, too little, the same again, or speak another version of the protocol.

The job they disturb must make the bytes of one that nobody disturbs.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from jobs import MANUAL, Inputs, Job, assert_same_output
from processes import Process, last_line
from protocol import (
    ASSIGN,
    GOODBYE,
    HEARTBEAT,
    INVENTORY,
    PROGRESS,
    READY,
    REFUSE,
    REFUSED_STRANGER,
    REFUSED_VERSION,
    TASK_DONE,
    TASK_FAILED,
    VERSION,
    WELCOME,
    empty_inventory,
    field,
    fit_done,
    header,
    kind_of,
    ready,
    refusal,
)
from zeromq import Socket, load_library, readable

MakeJob = Callable[..., Job]
# Of the protocol, and not this one.
OTHER = VERSION + 1


@pytest.fixture(scope="session")
def libzmq() -> Any:
    library = load_library()
    if library is None:
        pytest.skip("libzmq is not installed")
    return library


class RunningJob:
    """A job under way with one worker that keeps to the rules, and what it must come to."""

    def __init__(self, job: Job, expected: Job) -> None:
        self.job, self.expected = job, expected
        self.coordinator = job.start(*MANUAL)
        self.endpoint = job.programs.endpoint(job.job)
        self.worker = job.worker("honest", "--threads", "2")
        job.wait_until_fitted(1)

    def assert_undisturbed(self) -> None:
        assert self.coordinator.is_running
        self.coordinator.succeed()
        self.worker.succeed()
        assert_same_output(self.expected.output, self.job.output)
        attempts = self.job.status()["attempts"]
        assert set(attempts["fit"]) == {"done"}


@pytest.fixture
def running(long: Inputs, long_result: Job, make_job: MakeJob) -> RunningJob:
    return RunningJob(make_job(long), long_result)


RANDOM = np.random.default_rng(17).bytes
GARBAGE: dict[str, Callable[[], list[bytes]]] = {
    "one random frame": lambda: [RANDOM(100)],
    "random frames": lambda: [RANDOM(8), RANDOM(1000)],
    "an empty frame": lambda: [b""],
    "a header alone": lambda: [header(READY)],
    "a header cut short": lambda: [header(READY)[:5], ready("x")],
    "an unknown kind": lambda: [header(999), b""],
    "a kind that travels the other way": lambda: [header(ASSIGN), b""],
    "a random payload": lambda: [header(READY), RANDOM(300)],
    "a truncated payload": lambda: [header(READY), ready("cut")[:-7]],
    "a field out of range": lambda: [header(READY), ready("none", slots=0)],
    "an id of a wrong length": lambda: [header(READY), ready("short", worker_id=b"123")],
    "nested without end": lambda: [header(TASK_DONE), field(1, field(1, field(1, field(1, b"\x0b" * 4000))))],
    "a frame too many": lambda: [header(READY), ready("many"), b"", b""],
    "a hundred frames": lambda: [header(READY)] + [b"x"] * 100,
    "a payload at the limit": lambda: [header(READY), RANDOM(1 << 20)],
}


def test_garbage_is_dropped(running: RunningJob, libzmq: Any) -> None:
    """Every kind of it, a few times over, on a connection each and on one for all."""
    with Socket(libzmq, "dealer") as everything:
        everything.connect(running.endpoint)
        for make in GARBAGE.values():
            with Socket(libzmq, "dealer") as peer:
                peer.connect(running.endpoint)
                for _ in range(5):
                    peer.send(*make())
                    everything.send(*make())
    running.assert_undisturbed()
    assert "rejected" in running.coordinator.stderr


def test_a_flood_of_garbage_is_not_shown_line_by_line(running: RunningJob, libzmq: Any) -> None:
    with Socket(libzmq, "dealer") as peer:
        peer.connect(running.endpoint)
        for _ in range(20_000):
            peer.send(b"garbage")
    running.assert_undisturbed()
    assert 1 <= running.coordinator.stderr.count("rejected") <= 16
    assert running.coordinator.stderr.count("messages from 127.0.0.1 are dropped: more than 2048 messages a second") == 1


def test_a_huge_message_closes_its_connection(running: RunningJob, libzmq: Any) -> None:
    with Socket(libzmq, "dealer") as peer:
        peer.connect(running.endpoint)
        for size in ((1 << 20) + 1, 64 << 20):
            peer.send(header(READY), bytes(size))
    running.assert_undisturbed()


def test_bytes_that_are_not_zeromq_at_all(running: RunningJob) -> None:
    host, port = running.endpoint.removeprefix("tcp://").split(":")
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", RANDOM(100_000), b"\xff" + bytes(8) + b"\x7f" + RANDOM(64), b""):
        # The coordinator may have had enough before the end.
        enough = contextlib.suppress(BrokenPipeError, ConnectionResetError)
        with socket.create_connection((host, int(port))) as connection, enough:
            connection.sendall(data)
    running.assert_undisturbed()


def test_strangers_are_asked_who_they_are(running: RunningJob, libzmq: Any) -> None:
    """Whatever comes before Ready means nothing, least of all a result."""
    with Socket(libzmq, "dealer") as peer:
        peer.connect(running.endpoint)
        first = int(running.job.last_lease()) - (1 << 32)
        for lease in range(max(first, 0), max(first, 0) + 200):
            peer.send(header(TASK_DONE), fit_done(7, "mlp.down_proj", lease, RANDOM(32)))
        peer.send(header(GOODBYE), field(1, "so long"))
        frames = peer.receive()
        assert frames is not None and kind_of(frames) == REFUSE
        assert refusal(frames[1])[0] == REFUSED_STRANGER
    running.assert_undisturbed()


def test_results_under_leases_of_others_are_dropped(running: RunningJob, libzmq: Any) -> None:
    """A peer that joins, claims every result it can think of, and leaves."""
    with Socket(libzmq, "dealer") as peer:
        peer.connect(running.endpoint)
        peer.send(header(READY), ready("liar"))
        frames = peer.receive()
        assert frames is not None and kind_of(frames) == WELCOME
        peer.send(header(INVENTORY), empty_inventory(frames[1]))
        for lease in range(1, 400):
            for block in (0, 7):
                peer.send(header(TASK_DONE), fit_done(block, "mlp.up_proj", lease, RANDOM(32)))
                peer.send(header(PROGRESS), field(1, field(1, 2) + field(2, block) + field(4, "mlp.up_proj")))
        peer.send(header(GOODBYE), field(1, "so long"))
    running.coordinator.succeed()
    running.worker.succeed()
    assert_same_output(running.expected.output, running.job.output)


def test_a_worker_of_another_protocol_version_is_refused(running: RunningJob, libzmq: Any) -> None:
    with Socket(libzmq, "dealer") as peer:
        peer.connect(running.endpoint)
        peer.send(header(READY, version=OTHER), b"whatever another version says")
        frames = peer.receive()
        assert frames is not None and kind_of(frames) == REFUSE
        code, text = refusal(frames[1])
        assert code == REFUSED_VERSION
        assert text.startswith(
            f"the peer speaks protocol version {OTHER}, this program version {VERSION}; use the same release"
        )
    running.assert_undisturbed()
    assert f"protocol version {OTHER}" in running.coordinator.stderr


@pytest.mark.parametrize("answer", ["refusal", "welcome"])
def test_a_worker_ends_at_a_coordinator_of_another_version(
    small: Inputs, make_job: MakeJob, libzmq: Any, answer: str
) -> None:
    programs = make_job(small).programs
    with Socket(libzmq, "router") as coordinator:
        worker = programs.worker(coordinator.bind(), "ours")
        frames = coordinator.receive()
        assert frames is not None and kind_of(frames[1:]) == READY
        if answer == "refusal":
            text = f"the peer speaks protocol version {VERSION}, this program version {OTHER}; use the same release of crvq"
            coordinator.send(frames[0], header(REFUSE, version=OTHER), field(1, REFUSED_VERSION) + field(2, text))
        else:
            coordinator.send(frames[0], header(WELCOME, version=OTHER), b"")
        done = worker.wait()
    assert done.returncode == 65
    line = last_line(done)
    assert line.startswith("crvq-worker: tcp://127.0.0.1:"), line
    assert f"protocol version {OTHER}" in line or f"program version {OTHER}" in line, line


class RepeatingProxy:
    """Stands between a worker and its coordinator. Whatever the worker says arrives twice, with a truncated copy in
    between and something it said long ago after that; nothing the coordinator says is changed."""

    def __init__(self, library: Any, endpoint: str) -> None:
        self._library = library
        self._front, self._back = Socket(library, "router"), Socket(library, "dealer")
        self._back.connect(endpoint)
        self.endpoint = self._front.bind()
        self.repeated: list[list[bytes]] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        worker = b""
        while not self._is_over.is_set():
            for end in readable(self._library, [self._front, self._back], seconds=0.2):
                frames = end.receive()
                assert frames is not None
                if end is self._front:
                    worker = frames[0]
                    self._repeat(frames[1:])
                else:
                    self._front.send(worker, *frames)

    def _repeat(self, message: list[bytes]) -> None:
        self._back.send(*message)
        # A Ready or Goodbye of long ago would be a worker that comes and goes.
        if kind_of(message) in (HEARTBEAT, PROGRESS, TASK_DONE, TASK_FAILED):
            self._back.send(message[0], message[1][:-1] if message[1] else b"\x80")
            self._back.send(*message)
            self.repeated.append(message)
            self._back.send(*self.repeated[len(self.repeated) // 3])

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        for end in (self._front, self._back):
            end.close()


@pytest.fixture
def proxied(long: Inputs, make_job: MakeJob, libzmq: Any) -> Iterator[tuple[Job, Process, RepeatingProxy]]:
    job = make_job(long)
    coordinator = job.start(*MANUAL)
    proxy = RepeatingProxy(libzmq, job.programs.endpoint(job.job))
    yield job, coordinator, proxy
    proxy.close()


def test_replayed_and_truncated_messages_change_nothing(
    proxied: tuple[Job, Process, RepeatingProxy], long_result: Job
) -> None:
    job, coordinator, proxy = proxied
    worker = job.programs.worker(proxy.endpoint, "echoing", "--threads", "2")
    coordinator.succeed()
    worker.succeed()
    assert_same_output(long_result.output, job.output)
    assert {kind_of(message) for message in proxy.repeated} >= {PROGRESS, TASK_DONE}
    assert set(job.status()["attempts"]["fit"]) == {"done"}


def test_a_hostile_peer_of_the_artifact_server(running: RunningJob, libzmq: Any) -> None:
    """Garbage to the endpoints from which workers and coordinator serve their artifacts."""
    for pid in (running.coordinator.pid, running.worker.pid):
        for port in listening_ports(pid):
            with Socket(libzmq, "dealer") as peer:
                peer.connect(f"tcp://127.0.0.1:{port}")
                for make in GARBAGE.values():
                    peer.send(*make())
                # A request for an artifact that is nowhere, and one whose range makes no sense.
                peer.send(header(128), field(1, 1) + field(2, RANDOM(32)) + field(4, 1024))
                peer.send(header(128), field(1, 2) + field(2, RANDOM(32)) + field(3, (1 << 63) - 1) + field(4, 1 << 22))
    running.assert_undisturbed()


def listening_ports(pid: int) -> list[int]:
    """The TCP ports of the loopback interface on which a process listens."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            sockets.add(target[8:-1])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in sockets]
