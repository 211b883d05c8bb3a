"""Chunks of bytes to whole lines, lines to words and back, for the services' sockets. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")


class LineReader:
    """Hands out whole lines; never holds more than one line and what came with it."""

    def __init__(self, max_line: int, error: Callable[[str], Exception]) -> None:
        """`error` makes what `feed` raises for a line of more than `max_line` bytes."""
        self._max_line, self._error = max_line, error
        self._data = bytearray()

    @property
    def half_line(self) -> bool:
        return bool(self._data)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines this chunk completed. A line that comes in many chunks is searched once, not at each."""
        self._data += data
        lines: list[bytearray] = []
        if b"\n" in data:
            *lines, self._data = self._data.split(b"\n")
        if any(len(line) > self._max_line for line in (*lines, self._data)):
            raise self._error(f"a line of more than {self._max_line} bytes")
        return [bytes(line) for line in lines]


def encode(words: msgspec.Struct) -> bytes:
    """One line of JSON, with its end."""
    return msgspec.json.encode(words) + b"\n"


def decode(line: bytes, decoder: msgspec.json.Decoder[T], error: Callable[[str], Exception], what: str) -> T:
    """The words of a line. Raises what `error` makes of "not a request: …", with the place that does not fit."""
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as mistake:
        raise error(f"not {what}: {mistake}") from None
