"""Chunks of bytes to lines, lines to words and back, for both ends of the messenger's socket. No I/O."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from services import lines
from services.messenger.api_words import (
    MAX_LINE,
    Answer,
    Came,
    Changed,
    Event,
    Missed,
    Moved,
    Presence,
    Refused,
    Request,
    Watching,
)
from services.messenger.errors import ApiError, MessengerRefusedError

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


def decode_answer(line: bytes) -> Answer:
    """Raises MessengerRefusedError with the messenger's own words, ApiError for what is no answer."""
    answer = lines.decode(line, _answers, ApiError, "an answer")
    if isinstance(answer, Refused):
        raise MessengerRefusedError(answer.why, asked_wrongly=answer.asked_wrongly)
    return answer


def expect(answer: Answer, kind: type[T]) -> T:
    """Raises ApiError for an answer to another question."""
    if not isinstance(answer, kind):
        raise ApiError(f"'{type(answer).__name__}' is no answer to that: is the messenger of another version?")
    return answer


def expect_event(answer: Answer) -> Watching | Event:
    """Raises ApiError for what is told to no watcher."""
    if not isinstance(answer, Watching | Came | Changed | Moved | Presence | Missed):
        raise ApiError(f"'{type(answer).__name__}' is no event: is the messenger of another version?")
    return answer
