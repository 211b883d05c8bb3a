"""Netlink by hand, for the two things there are hundreds of thousands of: routes and counters. pyroute2 takes half a
millisecond to encode one route, and libnftables' listing of 200,000 elements takes nine seconds and 700 MB. Everything
else goes through those two.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence

from services.kernel.errors import DoorError

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
NESTED = 0x8000
DUMP_INTERRUPTED = 0x10
ERROR, DONE = 2, 3
DEADLINE_S = 10.0
TRIES = 3
BURST = 64  # messages sent before their answers are read: the answers fit the socket's buffer

_header = struct.Struct("=IHHII")
_attribute = struct.Struct("=HH")


def attribute(kind: int, value: bytes) -> bytes:
    return _attribute.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes | memoryview, start: int = 0) -> Iterator[tuple[int, memoryview]]:
    """(kind without flags, value) of each attribute."""
    view = memoryview(data)
    while start + 4 <= len(view):
        length, kind = _attribute.unpack_from(view, start)
        if length < 4:
            return
        yield kind & 0x3FFF, view[start + 4 : start + length]
        start += length + 3 & ~3


class NetlinkSocket:
    """One netlink protocol in the network namespace it was made in."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.bind((0, 0))
        self._socket.settimeout(DEADLINE_S)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def send(self, messages: Sequence[tuple[int, int, bytes]]) -> list[int]:
        """(type, flags, body) each → the error number of each, 0 for done."""
        answers: list[int] = []
        for start in range(0, len(messages), BURST):
            answers += self._burst(messages[start : start + BURST])
        return answers

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """The bodies of all answers. Begins anew when what is read changes meanwhile, which no part then shows."""
        for _ in range(TRIES):
            found = self._dump(kind, body)
            if found is not None:
                return iter(found)
        raise DoorError("the kernel's list changed at every reading: read it again later")

    def _burst(self, messages: Sequence[tuple[int, int, bytes]]) -> list[int]:
        first = self._sequence + 1
        self._sequence += len(messages)
        self._send(
            b"".join(
                _header.pack(16 + len(body), kind, flags | REQUEST | ACK, first + place, 0) + body
                for place, (kind, flags, body) in enumerate(messages)
            )
        )
        answers = dict.fromkeys(range(first, first + len(messages)), -1)
        left = len(messages)
        while left:
            for kind, _, sequence, body in self._receive():
                if kind == ERROR and answers.get(sequence) == -1:
                    answers[sequence] = -struct.unpack_from("=i", body)[0]
                    left -= 1
        return list(answers.values())

    def _dump(self, kind: int, body: bytes) -> list[bytes] | None:
        self._sequence += 1
        own = self._sequence
        self._send(_header.pack(16 + len(body), kind, REQUEST | DUMP, own, 0) + body)
        found: list[bytes] = []
        whole = True
        while True:
            for answer, flags, sequence, part in self._receive():
                if sequence != own:
                    continue
                whole = whole and not flags & DUMP_INTERRUPTED
                if answer in {ERROR, DONE}:
                    number = -struct.unpack_from("=i", part)[0] if len(part) >= 4 else 0
                    if number and number != errno.EINTR:
                        raise OSError(number, os.strerror(number))
                    return found if whole and not number else None
                found.append(part)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, (0, 0))
        except OSError as error:
            raise DoorError(f"cannot ask the kernel: {error.strerror or error}") from error

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        try:
            data = self._socket.recv(1 << 20)
        except OSError as error:
            raise DoorError(f"the kernel did not answer: {error.strerror or error}") from error
        start = 0
        while start + 16 <= len(data):
            length, kind, flags, sequence, _ = _header.unpack_from(data, start)
            yield kind, flags, sequence, data[start + 16 : start + length]
            start += length + 3 & ~3
