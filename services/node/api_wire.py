"""Chunks of bytes to lines, lines to words and back, for both ends of the node's socket. No I/O."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from services.node.api_words import MAX_LINE, Answer, Refused, Request
from services.node.errors import ApiError, NodeRefusedError

T = TypeVar("T", bound=msgspec.Struct)

_requests = msgspec.json.Decoder(Request)
_answers = msgspec.json.Decoder(Answer)


class LineReader:
    """Hands out whole lines; never holds more than one line and what came with it."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max_line = max_line
        self._data = bytearray()

    @property
    def half_line(self) -> bool:
        return bool(self._data)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines this chunk completed. Raises ApiError for one that is too long."""
        seen = len(self._data)
        self._data += data
        if b"\n" not in data:
            if seen + len(data) > self._max_line:
                raise ApiError(f"a line of more than {self._max_line} bytes")
            return []
        *lines, rest = self._data.split(b"\n")
        self._data = bytearray(rest)
        if any(len(line) > self._max_line for line in (*lines, rest)):
            raise ApiError(f"a line of more than {self._max_line} bytes")
        return [bytes(line) for line in lines]


def encode(words: msgspec.Struct) -> bytes:
    return msgspec.json.encode(words) + b"\n"


def read_request(line: bytes) -> Request:
    """Raises ApiError with the place that does not fit."""
    try:
        request: Request = _requests.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(f"not a request: {error}") from None
    return request


def read_answer(line: bytes, kind: type[T]) -> T:
    """Raises NodeRefusedError with the node's own words, ApiError for what is no such answer."""
    try:
        answer = _answers.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(f"not an answer: {error}") from None
    if isinstance(answer, Refused):
        raise NodeRefusedError(answer.why, asked_wrongly=answer.asked_wrongly)
    if not isinstance(answer, kind):
        raise ApiError(f"'{type(answer).__name__}' is no answer to that: is the node of another version?")
    return answer
