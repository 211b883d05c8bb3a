"""Chunks of bytes to requests, and answers to lines. No I/O."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from services.apptracker.errors import RefusedError, WireError
from services.apptracker.model import MAX_LINE, Refusal

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
        """The lines this chunk completed. Raises WireError for one that is too long."""
        self._data += data
        *lines, rest = self._data.split(b"\n")
        self._data = bytearray(rest)
        if any(len(line) > self._max_line for line in (*lines, rest)):
            raise WireError(f"a line of more than {self._max_line} bytes")
        return [bytes(line) for line in lines]


def encode(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def decode_request(line: bytes, kind: type[T]) -> T:
    """Raises WireError with the place that does not fit."""
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a request: {error}") from error


def decode_answer(line: bytes, kind: type[T]) -> T:
    """Raises RefusedError with the tracker's words, or WireError."""
    try:
        refusal = msgspec.json.decode(line, type=Refusal)
    except msgspec.DecodeError:
        return decode_request(line, kind)
    raise RefusedError(refusal.error)
