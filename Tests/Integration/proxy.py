"""A proxy between the parties of a job: it holds bytes up, lets few through, changes them, or cuts connections anywhere.

native/detour.c leads all TCP connections of a program through it: to the coordinator, and from worker to worker.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field

PIECE = 16 << 10
BACKLOG = 4 << 20


@dataclass(frozen=True)
class Faults:
    """What happens to connections. Chances are for each connection, and lots are drawn anew for each."""

    # Seconds that every byte is under way.
    delay: float = 0
    # Bytes a second of each direction; 0 for any number.
    rate: int = 0
    # Chances that it is closed, reset, or left open without passing on anything, after some number of bytes.
    cut: float = 0
    reset: float = 0
    stall: float = 0
    # The most bytes before that. The first connection meets its end while the two sides still greet each other, or a job
    # of few bytes might see no fault.
    bytes_before: int = 40_000
    bytes_before_first: int = 150
    # How long a connection stalls before it is reset, seconds.
    stall_time: float = 15
    # The chance that one bit of a piece of data is flipped, for each piece but the first, where it is certain.
    flip: float = 0


@dataclass
class Lot:
    """One connection's fate."""

    end: str
    bytes_left: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, count: int) -> int:
        """How many of so many bytes are passed on before the end."""
        with self.lock:
            if self.end == "none":
                return count
            passed = min(count, self.bytes_left)
            self.bytes_left -= passed
            return passed


class Proxy:
    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults = faults
        self.events: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._is_open = True
        self._control = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        return self._control.getsockname()[1]

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        self._control.close()

    def draw(self) -> Lot:
        with self._lock:
            self.events["connections"] += 1
            faults, number = self.faults, self._chance.random()
            bounds = [("cut", faults.cut), ("reset", faults.reset), ("stall", faults.stall)]
            is_first = self.events["connections"] == 1
            most_bytes = faults.bytes_before_first if is_first else faults.bytes_before
            if is_first:
                number *= sum(share for _, share in bounds)
            for end, share in bounds:
                if number < share:
                    return Lot(end, self._chance.randrange(most_bytes))
                number -= share
            return Lot("none", 0)

    def count(self, event: str) -> None:
        with self._lock:
            self.events[event] += 1

    def flipped(self, piece: bytes) -> bytes:
        """Only in long pieces, which are those of artifacts: a handshake that fails is another test's matter."""
        with self._lock:
            is_due = self.events["flip"] == 0 or self._chance.random() < self.faults.flip
            if not self.faults.flip or len(piece) < PIECE // 2 or not is_due:
                return piece
            self.events["flip"] += 1
            changed = bytearray(piece)
            changed[self._chance.randrange(len(piece))] ^= 1 << self._chance.randrange(8)
            return bytes(changed)

    def _serve(self) -> None:
        while self._is_open:
            try:
                client, _ = self._control.accept()
            except OSError:
                return
            with client:
                client.settimeout(5)
                try:
                    target = int(client.recv(16))
                    listener = socket.create_server(("127.0.0.1", 0))
                    threading.Thread(target=self._lead, args=(listener, target), daemon=True).start()
                    client.sendall(b"%d\n" % listener.getsockname()[1])
                except (OSError, ValueError):
                    continue

    def _lead(self, listener: socket.socket, target: int) -> None:
        with listener:
            listener.settimeout(30)
            try:
                near, _ = listener.accept()
            except OSError:
                return
        try:
            far = socket.create_connection(("127.0.0.1", target), timeout=10)
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, near, far)
        threading.Thread(target=connection.pass_on, args=(near, far), daemon=True).start()
        connection.pass_on(far, near)


class Connection:
    def __init__(self, proxy: Proxy, near: socket.socket, far: socket.socket) -> None:
        self.proxy, self.near, self.far = proxy, near, far
        self.lot = proxy.draw()
        self.is_over = threading.Event()

    def pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        """Until the end of the connection. What is held up waits in a queue that another thread empties."""
        waiting: deque[tuple[float, bytes]] = deque()
        news = threading.Condition()
        threading.Thread(target=self._send, args=(sink, waiting, news), daemon=True).start()
        while not self.is_over.is_set():
            try:
                piece = source.recv(PIECE)
            except OSError:
                piece = b""
            with news:
                waiting.append((time.monotonic() + self.proxy.faults.delay, piece))
                news.notify()
                while sum(len(item) for _, item in waiting) > BACKLOG and not self.is_over.is_set():
                    news.wait(0.1)
            if not piece:
                return

    def _send(self, sink: socket.socket, waiting: deque[tuple[float, bytes]], news: threading.Condition) -> None:
        while not self.is_over.is_set():
            with news:
                while not waiting:
                    if self.is_over.is_set():
                        return
                    news.wait(0.1)
                due, piece = waiting.popleft()
                news.notify()
            time.sleep(max(0.0, due - time.monotonic()))
            if not piece:
                return self.close()
            passed = self.lot.spend(len(piece))
            try:
                sink.sendall(self.proxy.flipped(piece[:passed]))
            except OSError:
                return self.close()
            if self.proxy.faults.rate:
                time.sleep(passed / self.proxy.faults.rate)
            if passed < len(piece):
                return self._meet_the_end()

    def _meet_the_end(self) -> None:
        if self.is_over.is_set():
            return
        self.proxy.count(self.lot.end)
        if self.lot.end == "stall":
            self.is_over.wait(self.proxy.faults.stall_time)
        self.close(abruptly=self.lot.end != "cut")

    def close(self, abruptly: bool = False) -> None:
        self.is_over.set()
        for end in (self.near, self.far):
            try:
                if abruptly:
                    # With nothing lingering, close sends a reset.
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # As long as the other thread waits in recv, closing does nothing. This ends its wait.
                    end.shutdown(socket.SHUT_RD)
                else:
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
            except OSError:
                continue
