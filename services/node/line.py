"""A blocking connection to the node's socket, for programs that load no event loop."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from services.app.asking_line import AskingLine, why_away
from services.node.api_wire import LineReader, read_answer
from services.node.api_words import MAX_ANSWER
from services.node.errors import NodeAwayError
from services.node.places import usual_socket

ANSWER_WITHIN_S = 45.0
"""Longer than the longest thing a node does for an asker: opening a session."""

T = TypeVar("T", bound=msgspec.Struct)


class Line(AskingLine):
    """What was published on it is withdrawn when it is closed."""

    def __init__(self, path: Path | None = None, within_s: float = ANSWER_WITHIN_S) -> None:
        """Raises NodeAwayError."""
        path = path or usual_socket()
        super().__init__(path, LineReader(MAX_ANSWER), lambda error: away(path, error), within_s)

    def ask(self, request: msgspec.Struct, kind: type[T]) -> T:
        """Raises NodeRefusedError, NodeAwayError, ApiError."""
        return read_answer(self.answer_to(request), kind)


def ask_once(request: msgspec.Struct, kind: type[T], path: Path | None = None) -> T:
    """Raises NodeRefusedError, NodeAwayError, ApiError."""
    with Line(path) as line:
        return line.ask(request, kind)


def away(path: Path, error: OSError | None) -> NodeAwayError:
    what, step = why_away("node", path, error, "is it running? node run")
    return NodeAwayError(f"{what} ({step})" if step else what)
