"""Peers that send garbage, too much, too little, the same again, or speak another version of the protocol.

The job they disturb must make the bytes of one that nobody disturbs.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any, Callable

import numpy as np
import pytest
from jobs import MANUAL, Inputs, Job, assert_same_output
from processes import last_line, listening_ports, wait_until
from protocol import (
    ASSIGN,
    GOODBYE,
    INVENTORY,
    PROGRESS,
    READY,
    REFUSE,
    REFUSED_STRANGER,
    REFUSED_VERSION,
    TASK_DONE,
    VERSION,
    WELCOME,
    empty_inventory,
    field,
    fit_done,
    header,
    introduce,
    kind_of,
    ready,
    refusal,
)
from relays import Echo, Gate
from zeromq import Socket

MakeJob = Callable[..., Job]
# Of the protocol, and not this one.
OTHER = VERSION + 1


class RunningJob:
    """A job under way with one worker that keeps to the rules, and what it must come to. It does not end before `finish`."""

    def __init__(self, job: Job, gate: Gate, expected: Job) -> None:
        self.job, self.expected, self._gate = job, expected, gate
        self.coordinator = job.start(*MANUAL)
        self.endpoint = job.programs.endpoint(job.job)
        self.worker = gate.worker("honest", "--threads", "2")
        job.wait_until_fitted(1)

    def finish(self) -> None:
        assert self.coordinator.is_running
        self._gate.open()
        self.coordinator.succeed()
        self.worker.succeed()
        assert_same_output(self.expected.output, self.job.output)

    def leases(self, count: int) -> range:
        """The first that this coordinator has given."""
        first = self.job.last_lease() + 1 - (1 << 32)
        return range(first, first + count)

    def assert_undisturbed(self) -> None:
        self.finish()
        attempts = self.job.status()["attempts"]
        assert set(attempts["fit"]) == {"done"}


@pytest.fixture
def running(long: Inputs, long_result: Job, make_job: MakeJob, make_gate: Callable[..., Gate]) -> RunningJob:
    job = make_job(long)
    return RunningJob(job, make_gate(job), long_result)


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
        for lease in running.leases(200):
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
        peer.send(header(INVENTORY), empty_inventory(introduce(peer, "liar")))
        # The last two are more than the coordinator's books can hold.
        for lease in (*running.leases(400), 1 << 63, (1 << 64) - 1):
            for block in (0, 7):
                task = field(1, field(1, 2) + field(2, block) + field(4, "mlp.up_proj"))
                peer.send(header(TASK_DONE), fit_done(block, "mlp.up_proj", lease, RANDOM(32)))
                peer.send(header(PROGRESS), task + field(2, lease))
        peer.send(header(GOODBYE), field(1, "so long"))
    running.finish()


def test_a_connection_is_that_of_one_worker(running: RunningJob, libzmq: Any) -> None:
    """Whoever says there to be another is not heard."""
    with Socket(libzmq, "dealer") as peer:
        peer.connect(running.endpoint)
        welcome = introduce(peer, "first")
        peer.send(header(READY), ready("second", worker_id=b"fedcba9876543210"))
        said = "says to be worker second on the connection of another; ignored"
        wait_until(lambda: said in running.coordinator.stderr, "it is not heard")
        # It is still the first, and joins as that.
        peer.send(header(INVENTORY), empty_inventory(welcome))
        wait_until(lambda: running.job.has_joined("first"), "the first has joined")
        peer.send(header(GOODBYE), field(1, "so long"))
    running.finish()
    assert not running.job.has_joined("second")


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


def test_replayed_and_truncated_messages_change_nothing(
    long: Inputs, long_result: Job, make_job: MakeJob, libzmq: Any
) -> None:
    job = make_job(long)
    coordinator = job.start(*MANUAL)
    with contextlib.closing(Echo(libzmq, job)) as echo:
        worker = echo.worker("echoing", "--threads", "2")
        coordinator.succeed()
        worker.succeed()
    assert_same_output(long_result.output, job.output)
    assert {kind_of(message) for message in echo.repeated} >= {PROGRESS, TASK_DONE}
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
