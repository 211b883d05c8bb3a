"""Chunks of bytes to lines, lines to words and back, for both ends of the node's socket. No I/O."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from services import lines
from services.node.api_words import MAX_LINE, Answer, Refused, Request
from services.node.errors import ApiError, NodeRefusedError

T = TypeVar("T", bound=msgspec.Struct)

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


class LineReader(lines.LineReader):
    """Raises ApiError for a line that is too long."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        super().__init__(max_line, ApiError)


def read_request(line: bytes) -> Request:
    """Raises ApiError with the place that does not fit."""
    return lines.decode(line, _requests, ApiError, "a request")


def read_answer(line: bytes, kind: type[T]) -> T:
    """Raises NodeRefusedError with the node's own words, ApiError for what is no such answer."""
    answer = lines.decode(line, _answers, ApiError, "an answer")
    if isinstance(answer, Refused):
        raise NodeRefusedError(answer.why, asked_wrongly=answer.asked_wrongly)
    if not isinstance(answer, kind):
        raise ApiError(f"'{type(answer).__name__}' is no answer to that: is the node of another version?")
    return answer
