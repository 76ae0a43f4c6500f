"""Messages of the control protocol, made by hand: see crvq.proto and MessageKind.swift."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from zeromq import Socket

VERSION = 9
READY, HEARTBEAT, PROGRESS, TASK_DONE, TASK_FAILED, GOODBYE, INVENTORY = 1, 2, 3, 4, 5, 6, 7
WELCOME, ASSIGN, CANCEL, REFUSE, PULSE = 64, 65, 66, 69, 71
REFUSED_VERSION, REFUSED_STRANGER = 1, 3
# Kinds of tasks.
FIT, TUNE, VERIFY, EVALUATE, DISTILL = 2, 3, 4, 5, 7
# Of a peer that does not care.
WORKER_ID = b"0123456789abcdef"


def header(kind: int, version: int = VERSION) -> bytes:
    return b"CRVQ" + struct.pack("<HH", version, kind)


def kind_of(frames: list[bytes]) -> int:
    magic, _, kind = struct.unpack("<4sHH", frames[0])
    assert magic == b"CRVQ", frames
    return kind


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def ready(name: str, worker_id: bytes = WORKER_ID, slots: int = 1) -> bytes:
    return (
        field(1, worker_id)
        + field(2, name)
        + field(3, "nowhere")
        + field(4, 1)
        + field(5, 1)
        + field(6, slots)
        + field(7, 1 << 30)
        + field(8, "tcp://127.0.0.1:1")
        + field(9, "none")
        + field(10, "0")
    )


def introduce(peer: Socket, name: str, worker_id: bytes = WORKER_ID) -> bytes:
    """Says Ready to the coordinator that the peer is connected to; the Welcome."""
    peer.send(header(READY), ready(name, worker_id))
    frames = peer.receive()
    assert frames is not None and kind_of(frames) == WELCOME
    return frames[1]


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def empty_inventory(welcome: bytes, predecessor: bytes = b"") -> bytes:
    """What a worker without passes in its cache answers to a Welcome: it has joined with that."""
    assert welcome[0] == 1 << 3 | 2 and welcome[1] < 0x80
    message = field(1, welcome[2 : 2 + welcome[1]]) + field(3, 1) + (field(4, predecessor) if predecessor else b"")
    return message + varint(5 << 3 | 5) + struct.pack("<I", crc32c(message))


def fit_done(block: int, linear: str, lease: int, digest: bytes) -> bytes:
    """A TaskDone that claims an artifact."""
    task = field(1, FIT) + field(2, block) + field(4, linear)
    output = field(1, "packed") + field(2, digest) + field(3, 1000)
    return field(1, task) + field(2, lease) + field(5, field(4, 1)) + field(9, output)


def fields(message: bytes) -> dict[int, Any]:
    """What a message says, by the numbers of its fields: numbers, or bytes. Of a repeated field the last."""
    found: dict[int, Any] = {}
    position = 0

    def read_varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        number, form = divmod(read_varint(), 8)
        if form == 0:
            found[number] = read_varint()
            continue
        length = {1: 8, 5: 4}.get(form) or read_varint()
        found[number] = message[position : position + length]
        position += length
    return found


class Task(NamedTuple):
    """One piece of work. What its kind does not use is 0 or empty."""

    kind: int
    block: int
    shard: int
    linear: str
    step: int
    batch: int


def task_of(message: bytes) -> Task:
    """What a TaskDone is the result of, or an Assign gives out."""
    task = fields(fields(message)[1])
    block, shard, step, batch = (task.get(number, 0) for number in (2, 3, 5, 6))
    return Task(task[1], block, shard, task.get(4, b"").decode(), step, batch)


def lease_of(message: bytes) -> int:
    """Of a TaskDone, an Assign or a Cancel."""
    return fields(message)[2]


def refusal(payload: bytes) -> tuple[int, str]:
    """Code and text of a Refuse."""
    said = fields(payload)
    return said[1], said[2].decode()
