"""Asks the identity's door, blocking: for the shell."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TypeVar

from services.identity.errors import DoorError
from services.identity.words import MAX_LINE, SOCKET, Answer, Refused, Request, read_answer
from services.lines import encode

ANSWER_WITHIN_S = 60.0

T = TypeVar("T", bound=Answer)


def ask(request: Request, kind: type[T], path: Path | None = None) -> T:
    """Raises DoorError."""
    path = path or Path(SOCKET)
    line = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(ANSWER_WITHIN_S)
            door.connect(str(path))
            door.sendall(encode(request))
            while not line.endswith(b"\n") and len(line) <= MAX_LINE and (data := door.recv(MAX_LINE)):
                line += data
    except OSError as error:
        raise DoorError(
            f"cannot ask for the identity at '{path}': {error.strerror or error} (is this a board?)"
        ) from None
    answer = read_answer(line.rstrip(b"\n"))
    if isinstance(answer, Refused):
        raise DoorError(answer.text)
    if not isinstance(answer, kind):
        raise DoorError(f"the door at '{path}' answered something else")
    return answer
