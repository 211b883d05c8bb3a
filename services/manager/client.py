"""Asks the manager on this machine over its UNIX socket: blocking, one connection per question, with a deadline."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TypeVar

import msgspec

from services.lines import encode
from services.manager import places
from services.manager.api_wire import LineReader, read_answer
from services.manager.api_words import MAX_ANSWER
from services.manager.errors import ManagerAwayError

ANSWER_WITHIN_S = 30.0
CHUNK = 64 * 1024

T = TypeVar("T", bound=msgspec.Struct)


def ask(request: msgspec.Struct, kind: type[T], path: Path | None = None) -> T:
    """Raises ManagerAwayError, RefusedError, ApiError."""
    path = path or places.usual_socket()
    lines = LineReader(MAX_ANSWER)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_WITHIN_S)
            connection.connect(str(path))
            with contextlib.suppress(BrokenPipeError):  # it may have said why before it stopped listening
                connection.sendall(encode(request))
            while data := connection.recv(CHUNK):
                for line in lines.feed(data):
                    return read_answer(line, kind)
    except PermissionError:
        raise ManagerAwayError(f"the manager at '{path}' answers root and its own user alone") from None
    except OSError as error:
        raise ManagerAwayError(
            f"no manager answers at '{path}': {error.strerror or error} (is it running? manager run)"
        ) from None
    raise ManagerAwayError(f"the manager at '{path}' closed the connection without an answer (are you its user?)")
