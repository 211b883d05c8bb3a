"""Chunks of bytes to requests, and answers to lines. No I/O."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from services import lines
from services.apptracker.errors import RefusedError, WireError
from services.apptracker.model import MAX_LINE, Refusal

T = TypeVar("T")


class LineReader(lines.LineReader):
    """Raises WireError for a line that is too long."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        super().__init__(max_line, WireError)


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
