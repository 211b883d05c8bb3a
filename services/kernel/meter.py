"""Reads the counters of nftables' pair set straight from the kernel: 20,000 elements without a JSON of megabytes."""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from socket import AF_INET6, inet_ntop

from services.kernel.errors import DoorError
from services.kernel.messages import NetlinkSocket, attribute, attributes
from services.kernel.model import Count

NETFILTER, GET_ELEMENTS = 12, 10 << 8 | 13
INET = 1
TABLE, SET, ELEMENTS = 1, 2, 3
PATHS = ((1, 1), (7, 2, 1), (7, 2, 2))  # in an element: key and its value; expression, its data, bytes or packets

_key = struct.Struct("16s16s16s")  # interface name, source, destination
_number = struct.Struct(">Q")

Pair = tuple[str, str, str]


class Meter:
    def __init__(self, table: str, pairs: str) -> None:
        self._socket = NetlinkSocket(NETFILTER)
        names = attribute(TABLE, table.encode() + b"\0") + attribute(SET, pairs.encode() + b"\0")
        self._request = struct.pack("=BBH", INET, 0, 0) + names

    def close(self) -> None:
        self._socket.close()

    def read(self) -> Iterator[tuple[Pair, Count]]:
        """(device, source, destination) and its count; nothing, if the set is not there."""
        try:
            parts = self._socket.dump(GET_ELEMENTS, self._request)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return
            raise DoorError(f"cannot read the counters: {os.strerror(error.errno or 0)}") from error
        for part in parts:
            for kind, elements in attributes(part, 4):
                if kind == ELEMENTS:
                    yield from _elements(elements)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the three things stand in an element. All elements of the set are made alike, so one is looked at."""

    key: int
    bytes: int
    packets: int

    def read(self, data: memoryview, start: int) -> tuple[Pair, Count]:
        name, source, destination = _key.unpack_from(data, start + self.key)
        who = (name.rstrip(b"\0").decode(), inet_ntop(AF_INET6, source), inet_ntop(AF_INET6, destination))
        (packets,), (count,) = (
            _number.unpack_from(data, start + self.packets),
            _number.unpack_from(data, start + self.bytes),
        )
        return who, Count(packets, count)


def _elements(data: memoryview) -> Iterator[tuple[Pair, Count]]:
    if len(data) < 4:
        return
    length = _length(data, 0)
    layout = _layout(data[:length])
    for start in range(0, len(data), length):
        if _length(data, start) != length:
            raise DoorError("the kernel lists the pair set in a form unknown here: its elements differ in length")
        yield layout.read(data, start)


def _length(data: memoryview, start: int) -> int:
    return int.from_bytes(data[start : start + 2], sys.byteorder)


def _layout(element: memoryview) -> _Layout:
    body, end = _inner(element, 0, len(element), 1)
    return _Layout(*(_find(element, body, end, path) for path in PATHS))


def _find(data: memoryview, start: int, end: int, path: tuple[int, ...]) -> int:
    for kind in path:
        start, end = _inner(data, start, end, kind)
    return start


def _inner(data: memoryview, start: int, end: int, kind: int) -> tuple[int, int]:
    """Where the value of that kind begins and ends."""
    while start + 4 <= end:
        length = _length(data, start)
        if int.from_bytes(data[start + 2 : start + 4], sys.byteorder) & 0x3FFF == kind:
            return start + 4, start + length
        start += max(length, 4) + 3 & ~3
    raise DoorError("the kernel lists the pair set in a form unknown here: key or counter is missing")
