"""What stands between workers and their coordinator: it says what they say more than once, or keeps some of it back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs import Evaluation, Job
from keys import Keys
from processes import Arguments, Process, wait_until
from protocol import ASSIGN, CANCEL, HEARTBEAT, PROGRESS, TASK_DONE, TASK_FAILED, Task, kind_of, lease_of, task_of
from zeromq import Socket, readable


class Relay:
    """Where workers of a job can connect to in place of its coordinator. All that the coordinator says is passed on.

    In a job with keys it is the coordinator to workers; to the coordinator each of them has the key `worker`.
    """

    def __init__(self, library: Any, job: Job | Evaluation, keys: Keys | None = None) -> None:
        self._library, self.job, self._keys = library, job, keys
        self._front = Socket(library, "router")
        if keys:
            self._front.serve_with_key(keys.secret("coordinator"))
        self._backs: dict[bytes, Socket] = {}
        self.endpoint = self._front.bind()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        for end in (self._front, *self._backs.values()):
            end.close()

    def worker(self, name: str, *options: Arguments) -> Process:
        return self.job.programs.worker(self.endpoint, name, *options)

    def local(self, workers: int) -> tuple[Arguments, ...]:
        """Options of a coordinator that starts workers of one thread each itself; they connect here."""
        # The coordinator's endpoint comes first. One that has just begun to run the job again is known by nothing else.
        note = f'echo "$2" > "{self._told}.$$" && mv "{self._told}.$$" "{self._told}"'
        self._write_program(f'test "$1" = --connect && {note} && shift 2 && set -- --connect {self.endpoint} "$@"')
        cluster = self.job.directory / "relayed.yaml"
        cluster.write_text(f"engine: local\nworkers: {workers}\nthreads: 1\nprogram: {self._program}\n")
        return "--cluster", cluster

    def pass_by(self) -> None:
        """Workers that a coordinator starts from now on connect to it."""
        self._write_program(":")

    @property
    def _program(self) -> Path:
        return self.job.directory / "relayed-worker"

    @property
    def _told(self) -> Path:
        """Where the workers that a coordinator starts leave what they were told to connect to."""
        return self.job.directory / "relayed-to"

    def _write_program(self, first: str) -> None:
        self._program.write_text(f'#!/bin/sh\n{first} && exec "{self.job.programs.worker_program}" "$@"\n')
        self._program.chmod(0o755)

    def say(self, back: Socket, message: list[bytes]) -> None:
        """Passes on what a worker says."""
        back.send(*message)

    def answer(self, worker: bytes, message: list[bytes]) -> None:
        """Passes on what the coordinator says to a worker."""
        self._front.send(worker, *message)

    def look(self) -> None:
        """A moment has passed."""

    def _serve(self) -> None:
        while not self._is_over.is_set():
            for end in readable(self._library, [self._front, *self._backs.values()], seconds=0.1):
                frames = end.receive()
                assert frames is not None
                if end is self._front:
                    self.say(self._back(frames[0]), frames[1:])
                else:
                    worker = next(worker for worker, back in self._backs.items() if back is end)
                    self.answer(worker, frames)
            self.look()

    def _back(self, worker: bytes) -> Socket:
        if worker not in self._backs:
            back = Socket(self._library, "dealer", linger=0)
            if keys := self._keys:
                back.use_keys(keys.public("coordinator"), keys.public("worker"), keys.secret("worker"))
            told = self._told.read_text().strip() if self._told.exists() else ""
            back.connect(told or self.job.programs.endpoint(self.job.job))
            self._backs[worker] = back
        return self._backs[worker]


class Echo(Relay):
    """Whatever a worker says arrives twice, with a truncated copy in between and something it said long ago after that."""

    def __init__(self, library: Any, job: Job | Evaluation) -> None:
        self.repeated: list[list[bytes]] = []
        super().__init__(library, job)

    def say(self, back: Socket, message: list[bytes]) -> None:
        super().say(back, message)
        # A Ready or Goodbye of long ago would be a worker that comes and goes.
        if kind_of(message) in (HEARTBEAT, PROGRESS, TASK_DONE, TASK_FAILED):
            back.send(message[0], message[1][:-1] if message[1] else b"\x80")
            back.send(*message)
            self.repeated.append(message)
            back.send(*self.repeated[len(self.repeated) // 3])


Holds = Callable[[Task], bool]


class Gate(Relay):
    """Keeps back some results until it is opened: the job is under way, and does not end however fast it is."""

    def __init__(self, library: Any, job: Job | Evaluation, holds: Holds, keys: Keys | None = None) -> None:
        self._holds = holds
        self._kept: list[tuple[Task, Socket, list[bytes]]] = []
        # Whose results came through and were not lost, by lease.
        self._passed: dict[int, Task] = {}
        # What counts for nothing any more, whether it came through or not.
        self._cancelled: set[int] = set()
        super().__init__(library, job, keys)

    def wait_until_it_holds(self) -> int:
        """Returns the lease of a result that is kept back."""
        return wait_until(self._kept_leases, "a result is kept back")[0]

    def _kept_leases(self) -> list[int]:
        return [lease_of(message[1]) for _, _, message in self._kept]

    def hold(self, holds: Holds) -> None:
        """Keeps back others from now on."""
        self._holds = holds

    def let_pass(self, kind: int, count: int) -> None:
        """From now on keeps back results of this kind when those of so many tasks have come through, but for their repetitions:
        what was damaged on the way is made again."""

        def holds(task: Task) -> bool:
            passed = set(self._passed.values())
            return task.kind == kind and task not in passed and sum(other.kind == kind for other in passed) >= count

        self.hold(holds)

    def open(self) -> None:
        self.hold(lambda _: False)

    def say(self, back: Socket, message: list[bytes]) -> None:
        if kind_of(message) != TASK_DONE:
            super().say(back, message)
            return
        task, lease = task_of(message[1]), lease_of(message[1])
        if lease in self._cancelled:
            super().say(back, message)
        elif self._holds(task):
            self._kept.append((task, back, message))
        else:
            self._passed[lease] = task
            super().say(back, message)

    def answer(self, worker: bytes, message: list[bytes]) -> None:
        # A result that could not be stored, or is made again, counts no more: with results kept back in all slots nobody could
        # make it again.
        if kind_of(message) == CANCEL:
            self._cancelled.add(lease := lease_of(message[1]))
            self._passed.pop(lease, None)
        elif kind_of(message) == ASSIGN:
            again = task_of(message[1])
            self._passed = {lease: task for lease, task in self._passed.items() if task != again}
        super().answer(worker, message)

    def look(self) -> None:
        kept, self._kept = self._kept, []
        for _, back, message in kept:
            self.say(back, message)
