"""Asks a tracker: blocking, one connection per question, with a deadline."""

from __future__ import annotations

import socket
from typing import TypeVar

import msgspec

from services.apptracker.errors import AwayError
from services.apptracker.model import Request
from services.apptracker.wire import LineReader, decode_answer, encode

DEADLINE_S = 10.0
MAX_ANSWER_LINE = 1 << 20

T = TypeVar("T", bound=msgspec.Struct)


def ask(host: str, port: int, request: Request, kind: type[T]) -> T:
    """Raises AwayError, RefusedError or WireError."""
    lines = LineReader(MAX_ANSWER_LINE)
    try:
        with socket.create_connection((host, port), DEADLINE_S) as connection:
            connection.sendall(encode(request))
            while data := connection.recv(65_536):
                for line in lines.feed(data):
                    return decode_answer(line, kind)
    except OSError as error:
        raise AwayError(f"no tracker answers at {host}:{port}: {error.strerror or error}") from error
    raise AwayError(f"the tracker at {host}:{port} closed the connection without an answer")
