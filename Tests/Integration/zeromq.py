"""Just enough of libzmq, through ctypes, to be a peer that keeps to no rule of the protocol."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
from typing import Any

KINDS = {"dealer": 5, "router": 6}
LINGER, RECEIVE_TIMEOUT, SEND_TIMEOUT, LAST_ENDPOINT, RECEIVE_MORE = 17, 27, 28, 32, 13
CURVE_SERVER, CURVE_PUBLIC_KEY, CURVE_SECRET_KEY, CURVE_SERVER_KEY = 47, 48, 49, 50
DONT_WAIT, SEND_MORE = 1, 2
POLL_IN = 1
FRAME_LIMIT = 2 << 20


def load_library() -> Any:
    """libzmq, or None where it is not installed."""
    for name in ("libzmq.so.5", ctypes.util.find_library("zmq")):
        try:
            library = ctypes.CDLL(name, use_errno=True) if name else None
        except OSError:
            continue
        if library is not None:
            library.zmq_ctx_new.restype = library.zmq_socket.restype = ctypes.c_void_p
            library.zmq_strerror.restype = ctypes.c_char_p
            return library
    return None


class ZMQError(OSError):
    """What libzmq says of a failed call."""


class Socket:
    """A socket in a context of its own, so that closing it disturbs nobody."""

    def __init__(self, library: Any, kind: str, linger: int = 2000) -> None:
        self._library = library
        self._context = ctypes.c_void_p(library.zmq_ctx_new())
        self._handle = ctypes.c_void_p(library.zmq_socket(self._context, KINDS[kind]))
        self._buffer = ctypes.create_string_buffer(FRAME_LIMIT)
        for option, value in ((LINGER, linger), (RECEIVE_TIMEOUT, 10_000), (SEND_TIMEOUT, 10_000)):
            self._set_number(option, value)

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._library.zmq_close(self._handle)
        self._library.zmq_ctx_term(self._context)

    def _check(self, result: int) -> int:
        if result < 0:
            number = self._library.zmq_errno()
            raise ZMQError(number, self._library.zmq_strerror(number).decode())
        return result

    def _set_number(self, option: int, value: int) -> None:
        number = ctypes.c_int(value)
        self._check(self._library.zmq_setsockopt(self._handle, option, ctypes.byref(number), ctypes.c_size_t(4)))

    def _set_key(self, option: int, key: str) -> None:
        # With the zero that ends it.
        self._check(self._library.zmq_setsockopt(self._handle, option, key.encode() + b"\0", ctypes.c_size_t(41)))

    def use_keys(self, server: str, public: str, secret: str) -> None:
        """Before connecting: keys as 40 characters each."""
        for option, key in ((CURVE_SERVER_KEY, server), (CURVE_PUBLIC_KEY, public), (CURVE_SECRET_KEY, secret)):
            self._set_key(option, key)

    def serve_with_key(self, secret: str) -> None:
        """Before binding: who connects must know the public key of this one. Whose key it has itself is not asked."""
        self._set_number(CURVE_SERVER, 1)
        self._set_key(CURVE_SECRET_KEY, secret)

    def connect(self, endpoint: str) -> None:
        self._check(self._library.zmq_connect(self._handle, endpoint.encode()))

    def bind(self) -> str:
        """Listens on a free port of the loopback interface."""
        self._check(self._library.zmq_bind(self._handle, b"tcp://127.0.0.1:*"))
        text, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
        self._check(self._library.zmq_getsockopt(self._handle, LAST_ENDPOINT, text, ctypes.byref(size)))
        return text.value.decode()

    def send(self, *frames: bytes, flags: int = 0) -> None:
        for index, frame in enumerate(frames):
            more = SEND_MORE if index + 1 < len(frames) else 0
            self._check(self._library.zmq_send(self._handle, frame, len(frame), more | flags))

    def send_unless_refused(self, *frames: bytes) -> None:
        """Where the other side may end the handshake: libzmq then gives the connection up, and there is none to send by."""
        try:
            self.send(*frames, flags=DONT_WAIT)
        except ZMQError as error:
            if error.errno != errno.EAGAIN:
                raise

    def receive(self, seconds: float = 10) -> list[bytes] | None:
        """The frames of the next message; None if none comes in time."""
        self._set_number(RECEIVE_TIMEOUT, int(seconds * 1000))
        frames: list[bytes] = []
        while True:
            size = self._library.zmq_recv(self._handle, self._buffer, FRAME_LIMIT, 0)
            if size < 0 and not frames:
                return None
            frames.append(ctypes.string_at(self._buffer, self._check(size)))
            more, length = ctypes.c_int(0), ctypes.c_size_t(4)
            more_or_error = self._library.zmq_getsockopt(
                self._handle, RECEIVE_MORE, ctypes.byref(more), ctypes.byref(length)
            )
            self._check(more_or_error)
            if not more.value:
                return frames


class PollItem(ctypes.Structure):
    """zmq_pollitem_t."""

    _fields_ = (
        ("socket", ctypes.c_void_p),
        ("descriptor", ctypes.c_int),
        ("events", ctypes.c_short),
        ("ready", ctypes.c_short),
    )


def readable(library: Any, sockets: list[Socket], seconds: float) -> list[Socket]:
    """Those that have a message, waited for."""
    items = (PollItem * len(sockets))(*(PollItem(socket._handle, -1, POLL_IN, 0) for socket in sockets))
    library.zmq_poll(items, len(sockets), ctypes.c_long(int(seconds * 1000)))
    return [socket for socket, item in zip(sockets, items) if item.ready & POLL_IN]
