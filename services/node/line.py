"""A blocking connection to the node's socket, for programs that load no event loop."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from services.lines import encode
from services.node.api_wire import LineReader, read_answer
from services.node.api_words import MAX_ANSWER
from services.node.errors import NodeAwayError
from services.node.places import usual_socket

CONNECT_WITHIN_S = 5.0
ANSWER_WITHIN_S = 45.0
"""Longer than the longest thing a node does for an asker: opening a session."""

CHUNK = 64 * 1024

T = TypeVar("T", bound=msgspec.Struct)


class Line:
    """What was published on it is withdrawn when it is closed."""

    def __init__(self, path: Path | None = None, within_s: float = ANSWER_WITHIN_S) -> None:
        self._path = path or usual_socket()
        self._lines = LineReader(MAX_ANSWER)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(CONNECT_WITHIN_S)
        try:
            self._socket.connect(str(self._path))
        except OSError as error:
            self._socket.close()
            raise away(self._path, error) from None
        self._socket.settimeout(within_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: msgspec.Struct, kind: type[T]) -> T:
        """Raises NodeRefusedError, NodeAwayError, ApiError."""
        try:
            with contextlib.suppress(BrokenPipeError):  # it may have said why before it stopped listening
                self._socket.sendall(encode(request))
            while data := self._socket.recv(CHUNK):
                for line in self._lines.feed(data):
                    return read_answer(line, kind)
        except OSError as error:
            raise away(self._path, error) from None
        raise NodeAwayError(f"the node at '{self._path}' closed the connection without an answer")


def ask_once(request: msgspec.Struct, kind: type[T], path: Path | None = None) -> T:
    """Raises NodeRefusedError, NodeAwayError, ApiError."""
    with Line(path) as line:
        return line.ask(request, kind)


def away(path: Path, error: OSError) -> NodeAwayError:
    if isinstance(error, TimeoutError):
        return NodeAwayError(f"the node at '{path}' does not answer in time")
    if isinstance(error, PermissionError):
        return NodeAwayError(f"may not speak to the node at '{path}': be root, or of the socket's group")
    reason = error.strerror or str(error)
    return NodeAwayError(f"no node answers at '{path}': {reason} (is it running? node run)")
