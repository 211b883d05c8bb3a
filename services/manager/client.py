"""Asks the manager on this machine over its UNIX socket: blocking, with a deadline."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from services.app.asking_line import AskingLine, why_away
from services.manager import places
from services.manager.api_wire import LineReader, read_answer
from services.manager.api_words import MAX_ANSWER
from services.manager.errors import ManagerAwayError

ANSWER_WITHIN_S = 30.0

T = TypeVar("T", bound=msgspec.Struct)


class Line(AskingLine):
    """One connection, for several questions."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises ManagerAwayError."""
        path = path or places.usual_socket()
        super().__init__(path, LineReader(MAX_ANSWER), lambda error: _away(path, error), ANSWER_WITHIN_S)

    def ask(self, request: msgspec.Struct, kind: type[T]) -> T:
        """Raises ManagerAwayError, RefusedError, ApiError."""
        return read_answer(self.answer_to(request), kind)


def ask(request: msgspec.Struct, kind: type[T], path: Path | None = None) -> T:
    """Raises ManagerAwayError, RefusedError, ApiError."""
    with Line(path) as line:
        return line.ask(request, kind)


def _away(path: Path, error: OSError | None) -> ManagerAwayError:
    what, step = why_away("manager", path, error, "is it running? manager run", "it answers root and its own user")
    return ManagerAwayError(f"{what} ({step})" if step else what)
