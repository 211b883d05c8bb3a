"""A blocking connection to the messenger's socket, for programs that load no event loop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

import msgspec

from services.lines import encode
from services.messenger.api_wire import LineReader, decode_answer, expect, expect_event
from services.messenger.api_words import (
    MAX_ANSWER,
    Answer,
    Coming,
    Event,
    FetchFile,
    FileState,
    Missed,
    Ready,
    SendFile,
    Sent,
    Watch,
    Watching,
)
from services.messenger.errors import MessengerAwayError
from services.messenger.places import usual_socket

CONNECT_WITHIN_S = 5.0
ANSWER_WITHIN_S = 45.0
FILE_CHUNK_WITHIN_S = 60.0
CHUNK = 64 * 1024

T = TypeVar("T", bound=msgspec.Struct)
Progress = Callable[[int], None]
"""Is told how many bytes have passed."""


class Line:
    """After an error make another. `close` may be called by another thread: whoever waits here is then told."""

    def __init__(self, path: Path | None = None, within_s: float = ANSWER_WITHIN_S) -> None:
        self._path = path or usual_socket()
        self._lines = LineReader(MAX_ANSWER)
        self._read: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(CONNECT_WITHIN_S)
        try:
            self._socket.connect(str(self._path))
        except OSError as error:
            self._socket.close()
            raise away(self._path, error) from None
        self._within_s = within_s
        self._socket.settimeout(within_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self.close()
        self._socket.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, request: msgspec.Struct, kind: type[T]) -> T:
        """Raises MessengerRefusedError, MessengerAwayError, ApiError."""
        self._say(encode(request))
        return expect(self._answer(), kind)

    def send_file(self, request: SendFile, file: BinaryIO, progress: Progress | None = None) -> Sent:
        """Of the file as many bytes as the request says. Raises as `ask`."""
        self._say(encode(request))
        answer = self._answer()
        if isinstance(answer, Sent):  # the same again: nothing is wanted
            return answer
        expect(answer, Ready)
        self._socket.settimeout(FILE_CHUNK_WITHIN_S)
        left = request.size
        while left:
            data = file.read(min(left, CHUNK))
            if not data:
                self.close()
                raise MessengerAwayError(f"the file became shorter while it was read: {left} bytes are missing")
            if not self._has_said(data):
                break  # it has said why before it stopped listening
            left -= len(data)
            if progress is not None:
                progress(request.size - left)
        return expect(self._answer(), Sent)

    def fetch_file(self, request: FetchFile, open_file: Callable[[FileState], BinaryIO]) -> FileState:
        """Into the file that `open_file` gives, which stays open. Raises as `ask`, and OSError of that file."""
        self._say(encode(request))
        file = expect(decode_answer(self._line_alone()), Coming).file
        target = open_file(file)
        self._socket.settimeout(FILE_CHUNK_WITHIN_S)
        left = file.size
        while left > 0:
            data = self._recv(min(left, CHUNK))
            target.write(data)
            left -= len(data)
        return file

    def watch(self, request: Watch) -> Iterator[Watching | Event]:
        """First `Watching`, then what happens, until the messenger ends it. Raises as `ask`."""
        self._say(encode(request))
        yield expect(self._answer(), Watching)
        self._socket.settimeout(None)
        while True:
            event = expect_event(self._answer())
            yield event
            if isinstance(event, Missed):
                return

    def _say(self, data: bytes) -> None:
        """Where nobody listens any more, the answer may say why."""
        self._socket.settimeout(self._within_s)
        self._has_said(data)

    def _has_said(self, data: bytes) -> bool:
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        except OSError as error:
            raise away(self._path, error) from None
        return True

    def _answer(self) -> Answer:
        while not self._read:
            self._read = self._lines.feed(self._recv(CHUNK))
        return decode_answer(self._read.pop(0))

    def _line_alone(self) -> bytes:
        """And nothing of what follows it."""
        line = b""
        while not line.endswith(b"\n"):
            ahead = self._recv(CHUNK, socket.MSG_PEEK)
            line += self._recv(ahead.find(b"\n") + 1 or len(ahead))
        return line

    def _recv(self, most: int, flags: int = 0) -> bytes:
        try:
            data = self._socket.recv(most, flags)
        except OSError as error:
            raise away(self._path, error) from None
        if not data:
            raise MessengerAwayError(f"the messenger at '{self._path}' closed the connection without an answer")
        return data


def ask_once(request: msgspec.Struct, kind: type[T], path: Path | None = None) -> T:
    """Raises MessengerRefusedError, MessengerAwayError, ApiError."""
    with Line(path) as line:
        return line.ask(request, kind)


def away(path: Path, error: OSError) -> MessengerAwayError:
    if isinstance(error, TimeoutError):
        return MessengerAwayError(f"the messenger at '{path}' does not answer in time")
    if isinstance(error, PermissionError):
        return MessengerAwayError(f"may not speak to the messenger at '{path}': be root, or of the socket's group")
    reason = error.strerror or str(error)
    return MessengerAwayError(f"no messenger answers at '{path}': {reason}", "is it running? meshnet-messenger run")
