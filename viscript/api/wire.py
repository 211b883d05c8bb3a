"""Lines of JSON from chunks of bytes, with a size cap. No I/O."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from viscript.api.model import MAX_LINE
from viscript.errors import ProtocolError

T = TypeVar("T")


class LineReader:
    """Hands out whole lines; never holds more than one line and what came with it."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max_line = max_line
        self._data = bytearray()

    @property
    def half_line(self) -> bool:
        return bool(self._data)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines this chunk completed, without their ends. Raises ProtocolError for one that is too
        long.
        """
        self._data += data
        *lines, rest = self._data.split(b"\n")
        self._data = bytearray(rest)
        if max(map(len, lines), default=0) > self._max_line or len(rest) > self._max_line:
            raise ProtocolError(f"a line of more than {self._max_line} bytes")
        return [bytes(line) for line in lines]


def encode_line(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def decode_line(line: bytes, kind: type[T]) -> T:
    """Raises ProtocolError with the place that does not fit."""
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a valid line: {error}") from error
