"""Keys: how they are made and refused, and a job that keeps out who has not the right ones.

Whoever knocks, the job makes the bytes of one that nobody disturbs, and its log names each once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from jobs import LOCAL, MANUAL, Inputs, Job, assert_same_output
from keys import Keys
from processes import Process, Programs, last_line, listening_ports, only_line, query, succeeded, wait_until
from protocol import (
    FIT,
    GOODBYE,
    INVENTORY,
    READY,
    TASK_DONE,
    empty_inventory,
    field,
    fit_done,
    header,
    introduce,
    ready,
)
from relays import Gate
from zeromq import Socket, readable

MakeJob = Callable[..., Job]
MakeGate = Callable[..., Gate]

REQUEST, CHUNK, REFUSAL = 128, 129, 130
NOT_FOUND, BAD_RANGE = 1, 2
RANDOM = np.random.default_rng(23).bytes


@pytest.fixture
def keys(programs: Programs, tmp_path: Path) -> Keys:
    return Keys.make(programs, tmp_path / "keys")


@pytest.fixture
def others(programs: Programs, tmp_path: Path) -> Keys:
    """Of another job."""
    return Keys.make(programs, tmp_path / "others")


def test_keygen_makes_secrets_for_their_owner_alone(programs: Programs, tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    programs.succeed("keygen", "--output", directory)
    programs.succeed("keygen", "--output", directory, "--worker", "node-7")
    names = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    public = ["allowed/coordinator.pub", "allowed/node-7.pub", "allowed/worker.pub"]
    secret = ["coordinator.key", "node-7.key", "worker.key"]
    assert names == public + secret
    assert {stat.S_IMODE((directory / name).stat().st_mode) for name in secret} == {0o600}


@pytest.mark.parametrize("more", [[], ["--worker", "worker"]])
def test_keygen_overwrites_nothing(programs: Programs, keys: Keys, more: list[str]) -> None:
    before = {path: path.read_bytes() for path in keys.directory.rglob("*") if path.is_file()}
    done = programs.run("keygen", "--output", keys.directory, *more)
    assert done.returncode == 64
    assert "exists; keys are never overwritten" in only_line(done)
    assert {path: path.read_bytes() for path in keys.directory.rglob("*") if path.is_file()} == before


def damage_mode(keys: Keys) -> str:
    os.chmod(keys.directory / "coordinator.key", 0o640)
    return "coordinator.key: mode 0640"


def damage_secret(keys: Keys) -> str:
    (keys.directory / "coordinator.key").write_text("crvq-secret-key short\n")
    return "coordinator.key: not a key"


def remove_worker(keys: Keys) -> str:
    (keys.directory / "worker.key").unlink()
    return "worker.key: no such file"


def remove_directory(keys: Keys) -> str:
    shutil.rmtree(keys.directory)
    return "keygen"


@pytest.mark.parametrize("damage", [damage_mode, damage_secret, remove_worker, remove_directory])
def test_keys_that_cannot_be_used_stop_a_launch(
    small: Inputs, make_job: MakeJob, keys: Keys, damage: Callable[[Keys], str]
) -> None:
    said = damage(keys)
    job = make_job(small)
    done = job.run(*LOCAL, "1", *keys.options)
    assert done.returncode == 65
    line = only_line(done)
    assert line.startswith(f"crvq-coord: {keys.directory}") and said in line, line
    assert list(job.directory.iterdir()) == []


def test_a_worker_refuses_a_secret_that_others_may_read(programs: Programs, keys: Keys) -> None:
    os.chmod(keys.directory / "worker.key", 0o604)
    done = programs.run_worker("--connect", "tcp://192.0.2.1:7711", *keys.options)
    assert done.returncode == 65
    assert "worker.key: mode 0604" in only_line(done)


def test_local_workers_are_given_the_keys(small: Inputs, small_result: Job, make_job: MakeJob, keys: Keys) -> None:
    job = make_job(small)
    succeeded(job.run(*LOCAL, "2", *keys.options))
    assert_same_output(small_result.output, job.output)


@pytest.mark.parametrize("protection", ["keys", "insecure"])
def test_a_job_that_other_machines_reach(
    small: Inputs, small_result: Job, make_job: MakeJob, keys: Keys, protection: str
) -> None:
    options = keys.options if protection == "keys" else ("--insecure",)
    job = make_job(small)
    succeeded(job.run(*LOCAL, "2", "--bind", "tcp://0.0.0.0:*", *options))
    assert_same_output(small_result.output, job.output)


class GuardedJob:
    """A job with keys under way, its one worker with the files that the documentation gives it. It does not end before
    `finish`."""

    def __init__(self, job: Job, gate: Gate, expected: Job, keys: Keys) -> None:
        self.job, self.expected, self.keys, self._gate = job, expected, keys, gate
        self.coordinator = job.start(*MANUAL, *keys.options)
        self.endpoint = job.programs.endpoint(job.job)
        copied = keys.copy_for_worker(job.directory / "worker-keys")
        self.worker = gate.worker("honest", "--threads", "2", *copied.options)
        job.wait_until_fitted(1)

    def artifact_endpoint(self, process: Process) -> str:
        control = int(self.endpoint.split(":")[-1])
        [port] = [port for port in listening_ports(process.pid) if port != control]
        return f"tcp://127.0.0.1:{port}"

    def doors(self) -> list[tuple[str, str]]:
        """Where the job listens, and the public key there."""
        coordinator, worker = self.keys.public("coordinator"), self.keys.public("worker")
        return [
            (self.endpoint, coordinator),
            (self.artifact_endpoint(self.coordinator), coordinator),
            (self.artifact_endpoint(self.worker), worker),
        ]

    @property
    def worker_id(self) -> bytes:
        sql = "SELECT id FROM worker WHERE name = 'honest'"
        return bytes.fromhex(wait_until(lambda: query(self.job.job, sql), "the worker is in the books")[0][0])

    @property
    def coordinator_log(self) -> str:
        return (self.job.job / "log" / "coordinator.log").read_text()

    def finish(self) -> None:
        assert self.coordinator.is_running
        self._gate.open()
        self.coordinator.succeed()
        self.worker.succeed()
        assert_same_output(self.expected.output, self.job.output)

    def assert_undisturbed(self) -> None:
        self.finish()
        assert set(self.job.status()["attempts"]["fit"]) == {"done"}


@pytest.fixture
def guarded(long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate, keys: Keys) -> GuardedJob:
    job = make_job(long)
    return GuardedJob(job, make_gate(job, keys=keys), long_result, keys)


NO_KEY = "from 127.0.0.1: it shows no key"
NOT_ALLOWED = "from 127.0.0.1: its key is not allowed"
OTHER_JOB = "from 127.0.0.1: it uses the keys of another job"


def test_who_has_not_the_right_keys_gets_nowhere(guarded: GuardedJob, others: Keys, libzmq: Any) -> None:
    """At every door: no key, a key that nobody knows, the right key of another job; three of each, over and over."""
    stranger = (others.public("worker"), others.secret("worker"))
    with contextlib.ExitStack() as stack:
        peers = []
        for endpoint, server in guarded.doors():
            for keys in 3 * [None, (server, *stranger), (others.public("coordinator"), *stranger)]:
                peer = stack.enter_context(Socket(libzmq, "dealer", linger=0))
                if keys:
                    peer.use_keys(*keys)
                peer.connect(endpoint)
                peer.send_unless_refused(header(READY), ready("stranger"))
                peers.append(peer)
        # They connect again and again meanwhile.
        assert readable(libzmq, peers, seconds=1) == []
    for process, log in (
        (guarded.coordinator, lambda: guarded.coordinator_log),
        (guarded.worker, lambda: guarded.worker.stderr),
    ):
        for line in (NO_KEY, NOT_ALLOWED, OTHER_JOB):
            wait_until(lambda: line in log(), f"{process.command[0]} logs {line}")
            assert log().count(line) == 1, log()
    # People see it where they watch the job.
    wait_until(lambda: NO_KEY in guarded.coordinator.stderr, "the coordinator says so")
    assert guarded.coordinator.stderr.count(NO_KEY) == 1
    guarded.assert_undisturbed()


def test_workers_without_the_right_keys_are_told(guarded: GuardedJob, others: Keys, tmp_path: Path) -> None:
    # Knows the coordinator's key, and is not known to it.
    mixed = others.copy_for_worker(tmp_path / "mixed")
    shutil.copy2(guarded.keys.directory / "allowed" / "coordinator.pub", mixed.directory / "allowed")
    job = guarded.job
    without, unknown = job.worker("keyless"), job.worker("unknown", *mixed.options)
    foreign = job.worker("foreign", *others.options)
    for process, reason in (
        (without, "coordinator and worker must both be given --keys"),
        (unknown, "the coordinator does not allow this worker's key"),
    ):
        done = process.wait()
        assert done.returncode == 65
        assert reason in last_line(done)
    # Cannot even be told no: it believes in another coordinator, and may wait for it.
    wait_until(lambda: "that of another job" in foreign.stderr, "the worker of another job says so")
    assert "foreign" not in guarded.coordinator_log
    foreign.kill()
    guarded.assert_undisturbed()


def test_a_key_can_be_withdrawn_while_the_job_runs(
    small: Inputs, small_result: Job, make_job: MakeJob, make_gate: MakeGate, keys: Keys, programs: Programs
) -> None:
    """The worker that has it is out within seconds, and cannot come back; the job goes on without it.

    What the other has fitted is held back so long: the job does not end before.
    """
    programs.succeed("keygen", "--output", keys.directory, "--worker", "node-7")
    job = make_job(small)
    gate = make_gate(job, lambda task: task.kind == FIT, keys)
    coordinator = job.start(*MANUAL, *keys.options)
    honest = gate.worker("honest", *keys.options)
    gate.wait_until_it_holds()
    doomed = job.worker("node-7", *keys.options)
    copied = keys.copy_for_worker(job.directory / "late", "node-7")
    job.wait_until_fitted(1)
    (keys.directory / "allowed" / "node-7.pub").unlink()
    wait_until(lambda: "worker node-7 was lost: its key is no longer allowed" in coordinator.stderr, "node-7 is out")
    late = job.worker("node-7", *copied.options)
    done = late.wait()
    assert done.returncode == 65 and "the coordinator does not allow this worker's key" in last_line(done)
    gate.open()
    coordinator.succeed()
    honest.succeed()
    doomed.kill()
    assert_same_output(small_result.output, job.output)


class Impostor:
    """A peer with a key that the job allows, and that speaks the protocol."""

    def __init__(self, socket: Socket, guarded: GuardedJob, party: str) -> None:
        self.socket = socket
        keys = guarded.keys
        socket.use_keys(keys.public("coordinator"), keys.public(party), keys.secret(party))
        socket.connect(guarded.endpoint)

    def join(self, guarded: GuardedJob, name: str, worker_id: bytes, predecessor: bytes) -> None:
        """Joins with the cache of another."""
        welcome = introduce(self.socket, name, worker_id)
        self.socket.send(header(INVENTORY), empty_inventory(welcome, predecessor))
        wait_until(lambda: guarded.job.has_joined(name), f"{name} has joined")
        self.socket.send(header(GOODBYE), field(1, "so long"))
        wait_until(lambda: f"worker {name} left: so long" in guarded.coordinator.stderr, f"{name} has left")


@pytest.fixture
def shared(
    long: Inputs, long_result: Job, make_job: MakeJob, make_gate: MakeGate, keys: Keys, programs: Programs
) -> GuardedJob:
    """A job that allows the key of one more."""
    programs.succeed("keygen", "--output", keys.directory, "--worker", "other")
    job = make_job(long)
    return GuardedJob(job, make_gate(job, keys=keys), long_result, keys)


def test_a_worker_is_not_another_with_another_key(shared: GuardedJob, libzmq: Any) -> None:
    """Neither its connection nor its results are those of the worker that it says to be."""
    with Socket(libzmq, "dealer") as socket:
        impostor = Impostor(socket, shared, "other")
        impostor.socket.send(header(READY), ready("honest", shared.worker_id))
        said = "says to be worker honest, but has another key; ignored"
        wait_until(lambda: said in shared.coordinator.stderr, "the impostor is seen")
        first = shared.job.last_lease() + 1 - (1 << 32)
        for lease in range(first, first + 200):
            impostor.socket.send(header(TASK_DONE), fit_done(7, "mlp.down_proj", lease, RANDOM(32)))
        impostor.socket.send(header(GOODBYE), field(1, "so long"))
    shared.assert_undisturbed()
    assert "honest left: so long" not in shared.coordinator.stderr
    assert query(shared.job.job, "SELECT COUNT(*) FROM worker") == [(1,)]


def test_the_cache_of_a_worker_proves_nothing_with_another_key(shared: GuardedJob, libzmq: Any) -> None:
    """With its own key it does; it is taken in again, because it lives."""
    with Socket(libzmq, "dealer") as socket:
        Impostor(socket, shared, "other").join(shared, "thief", b"0123456789abcdef", shared.worker_id)
    assert "was lost" not in shared.coordinator.stderr
    with Socket(libzmq, "dealer") as socket:
        Impostor(socket, shared, "worker").join(shared, "heir", b"fedcba9876543210", shared.worker_id)
    shared.finish()
    assert shared.coordinator.stderr.count("was lost: ") == 1
    assert "worker honest was lost: heir has its cache" in shared.coordinator.stderr


def request(digest: bytes, offset: int, length: int) -> tuple[bytes, bytes]:
    return header(REQUEST), field(1, 7) + field(2, digest) + field(3, offset) + field(4, length)


def held(job: Job) -> list[bytes]:
    """Digests of what a job's coordinator holds."""
    return [bytes.fromhex(path.name) for path in (job.job / "artifacts").iterdir() if len(path.name) == 64]


def test_a_worker_gets_artifacts_of_its_job_by_digest_alone(
    small_result: Job, guarded: GuardedJob, libzmq: Any
) -> None:
    """Someone with the right keys asks for what is not its business."""
    of_another_job = held(small_result)
    assert of_another_job
    mine = wait_until(lambda: held(guarded.job), "the job has an artifact")[0]
    path = b"../../../../../../../etc/passwd\0"
    assert len(path) == 32
    worker = (guarded.keys.public("worker"), guarded.keys.secret("worker"))
    for endpoint, server in guarded.doors()[1:]:
        with Socket(libzmq, "dealer", linger=0) as peer:
            peer.use_keys(server, *worker)
            peer.connect(endpoint)
            for digest in (*of_another_job[:3], path, RANDOM(32)):
                for _ in range(3):
                    frames = answer(peer, *request(digest, 0, 1024))
                    assert frames is not None and refusal_code(frames) == NOT_FOUND
            for offset, length in ((1 << 63, 1), ((1 << 64) - 1, 0), (1 << 62, 1), (0, 1 << 63)):
                frames = answer(peer, *request(mine, offset, length))
                # The worker does not have what the coordinator has; neither has such a range.
                assert frames is not None and refusal_code(frames) in (NOT_FOUND, BAD_RANGE)
            # No requests: a path in place of a digest, more than 64 bits hold, more than a chunk. So no answer.
            peer.send(*request(b"../../etc/passwd", 0, 1024))
            peer.send(*request(mine, (1 << 64) - 1, 2))
            peer.send(*request(mine, 0, (1 << 32) - 1))
            assert peer.receive(0.3) is None
    for log in (lambda: guarded.coordinator_log, lambda: guarded.worker.stderr):
        for kind in ("no such artifact", "no request"):
            wait_until(lambda log=log, kind=kind: f": {kind}" in log(), f"a log tells of {kind}")
            lines = [line for line in log().splitlines() if f": {kind}" in line]
            assert len(lines) == 1 and "refused a request from 127.0.0.1 at" in lines[0], log()
    guarded.assert_undisturbed()


def answer(socket: Socket, *frames: bytes) -> list[bytes] | None:
    socket.send(*frames)
    return socket.receive()


def refusal_code(frames: list[bytes]) -> int:
    """The code of an ArtifactRefusal: its third field."""
    assert frames[0] == header(REFUSAL), frames
    rest = frames[1]
    assert rest[:4] == field(1, 7) + b"\x12\x20", rest
    rest = rest[4 + 32 :]
    assert rest[0] == 3 << 3, rest
    return rest[1]
