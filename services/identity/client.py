"""Asks the identity's door, blocking: for the shell."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from services.app.asking_line import AskingLine
from services.identity.errors import DoorError
from services.identity.words import MAX_LINE, SOCKET, Answer, Refused, Request, read_answer
from services.lines import LineReader

ANSWER_WITHIN_S = 60.0

T = TypeVar("T", bound=Answer)


def ask(request: Request, kind: type[T], path: Path | None = None) -> T:
    """Raises DoorError."""
    path = path or Path(SOCKET)
    with AskingLine(path, LineReader(MAX_LINE, DoorError), lambda error: _away(path, error), ANSWER_WITHIN_S) as line:
        answer = read_answer(line.answer_to(request))
    if isinstance(answer, Refused):
        raise DoorError(answer.text)
    if not isinstance(answer, kind):
        raise DoorError(f"the door at '{path}' answered something else")
    return answer


def _away(path: Path, error: OSError | None) -> DoorError:
    why = "it hung up" if error is None else error.strerror or str(error)
    return DoorError(f"cannot ask for the identity at '{path}': {why} (is this a board?)")
