"""A blocking connection to the messenger's socket, for programs that load no event loop."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from services.app.asking_line import CHUNK, AskingLine, why_away
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

ANSWER_WITHIN_S = 45.0
FILE_CHUNK_WITHIN_S = 60.0

T = TypeVar("T", bound=msgspec.Struct)
Progress = Callable[[int], None]
"""Is told how many bytes have passed."""


class Line(AskingLine):
    """After an error make another. `close` may be called by another thread: whoever waits here is then told."""

    def __init__(self, path: Path | None = None, within_s: float = ANSWER_WITHIN_S) -> None:
        """Raises MessengerAwayError."""
        path = path or usual_socket()
        super().__init__(path, LineReader(MAX_ANSWER), lambda error: away(path, error), within_s)
        self._within_s = within_s

    def ask(self, request: msgspec.Struct, kind: type[T]) -> T:
        """Raises MessengerRefusedError, MessengerAwayError, ApiError."""
        self._ask(request)
        return expect(self._answer(), kind)

    def send_file(self, request: SendFile, file: BinaryIO, progress: Progress | None = None) -> Sent:
        """Of the file as many bytes as the request says. Raises as `ask`."""
        self._ask(request)
        answer = self._answer()
        if isinstance(answer, Sent):  # the same again: nothing is wanted
            return answer
        expect(answer, Ready)
        self.wait_at_most(FILE_CHUNK_WITHIN_S)
        left = request.size
        while left:
            data = file.read(min(left, CHUNK))
            if not data:
                self.close()
                raise MessengerAwayError(f"the file became shorter while it was read: {left} bytes are missing")
            if not self.say(data):
                break  # it has said why before it stopped listening
            left -= len(data)
            if progress is not None:
                progress(request.size - left)
        return expect(self._answer(), Sent)

    def fetch_file(self, request: FetchFile, open_file: Callable[[FileState], BinaryIO]) -> FileState:
        """Into the file that `open_file` gives, which stays open. Raises as `ask`, and OSError of that file."""
        self._ask(request)
        file = expect(decode_answer(self._line_alone()), Coming).file
        target = open_file(file)
        self.wait_at_most(FILE_CHUNK_WITHIN_S)
        left = file.size
        while left > 0:
            data = self.hear_bytes(min(left, CHUNK))
            target.write(data)
            left -= len(data)
        return file

    def watch(self, request: Watch) -> Iterator[Watching | Event]:
        """First `Watching`, then what happens, until the messenger ends it. Raises as `ask`."""
        self._ask(request)
        yield expect(self._answer(), Watching)
        self.wait_at_most(None)
        while True:
            event = expect_event(self._answer())
            yield event
            if isinstance(event, Missed):
                return

    def _ask(self, request: msgspec.Struct) -> None:
        self.wait_at_most(self._within_s)
        self.say(encode(request))

    def _answer(self) -> Answer:
        return decode_answer(self.hear())

    def _line_alone(self) -> bytes:
        """And nothing of what follows it."""
        line = b""
        while not line.endswith(b"\n"):
            ahead = self.hear_bytes(CHUNK, socket.MSG_PEEK)
            line += self.hear_bytes(ahead.find(b"\n") + 1 or len(ahead))
        return line


def ask_once(request: msgspec.Struct, kind: type[T], path: Path | None = None) -> T:
    """Raises MessengerRefusedError, MessengerAwayError, ApiError."""
    with Line(path) as line:
        return line.ask(request, kind)


def away(path: Path, error: OSError | None) -> MessengerAwayError:
    return MessengerAwayError(*why_away("messenger", path, error, "is it running? meshnet-messenger run"))
