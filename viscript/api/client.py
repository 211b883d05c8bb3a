"""The shell's end of the API: one blocking socket, one call at a time, no event loop to load."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from viscript.api.model import Call, Reply, Request
from viscript.api.wire import LineReader, decode_line, encode_line
from viscript.errors import DaemonAwayError, ProtocolError, ViscriptError
from viscript.paths import RUN_SOCKET

CONNECT_DEADLINE_S = 5.0
CALL_DEADLINE_S = 130.0
PATIENCE_S = 20.0

T = TypeVar("T")


class RefusedError(ViscriptError):
    """The daemon said no; `code` and text are its own."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class ApiClient:
    """Connects on the first call, and anew after the daemon went away."""

    patience_s = PATIENCE_S

    def __init__(self, path: Path, timeout_s: float = CALL_DEADLINE_S) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._lines = LineReader()
        self._last_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def another(self, timeout_s: float = CALL_DEADLINE_S) -> Self:
        """A second connection to the same daemon."""
        return type(self)(self._path, timeout_s)

    def fileno(self) -> int:
        """What becomes readable when an answer arrives."""
        return -1 if self._socket is None else self._socket.fileno()

    def call(self, request: Request, kind: type[T]) -> T:
        """Ask and wait. Raises RefusedError, DaemonAwayError or ProtocolError."""
        self.ask(request)
        return self.take(kind)

    def ask(self, request: Request) -> None:
        """Send a request; `take` waits for its answer. Raises DaemonAwayError."""
        self._last_id += 1
        with self._told_as_away():
            if self._socket is None or _is_stale(self._socket):
                self.close()
                self._socket = self._connect()
            # From here on nothing is tried twice: the daemon may have begun what it was asked.
            self._socket.sendall(encode_line(Call(self._last_id, request)))

    def take(self, kind: type[T]) -> T:
        """The answer to the last request. Raises as `call` does."""
        with self._told_as_away():
            reply = self._wait()
        if reply.error is not None:
            raise RefusedError(reply.error.code, reply.error.text)
        try:
            return msgspec.json.decode(reply.result, type=kind)
        except msgspec.DecodeError as error:
            raise ProtocolError(f"viscript answered what this shell does not understand: {error}") from error

    @contextmanager
    def _told_as_away(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            self.close()
            raise DaemonAwayError(f"viscript did not answer within {self._timeout_s:g} s") from error
        except OSError as error:
            self.close()
            raise DaemonAwayError(self._explain(error)) from error

    def _connect(self) -> socket.socket:
        self._lines = LineReader()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_DEADLINE_S)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        connection.settimeout(self._timeout_s)
        return connection

    def _wait(self) -> Reply:
        if self._socket is None:
            raise ConnectionAbortedError("nothing was asked")
        while True:
            data = self._socket.recv(65_536)
            if not data:
                raise ConnectionAbortedError("viscript closed the connection")
            for answer in self._lines.feed(data):
                reply = decode_line(answer, Reply)
                if reply.id in {self._last_id, 0}:
                    return reply

    def _explain(self, error: OSError) -> str:
        match error:
            case PermissionError():
                return f"you may not use viscript's socket '{self._path}' (ask to join its group)"
            case ConnectionRefusedError() if self._path != RUN_SOCKET:
                # What a killed daemon leaves: here nobody brings it back by himself.
                return self._tell_away()
            case ConnectionError() if self._path.exists():
                return f"viscript went away from '{self._path}' (is it restarting? try again)"
            case _:
                return self._tell_away()

    def _tell_away(self) -> str:
        here = "the board starts it again by itself: try in a minute, or ask whoever is admin"
        step = here if self._path == RUN_SOCKET else "start it with: viscript headless"
        return f"viscript is not running: nothing listens at '{self._path}'\n({step})"


def _is_stale(connection: socket.socket) -> bool:
    """Whether the daemon closed this connection since the last call, or left something unasked in it."""
    return bool(select.select([connection], [], [], 0)[0])
