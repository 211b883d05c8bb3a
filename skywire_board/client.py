"""Asks the supervisor over the board's socket, without an event loop: for the shell and the services.

    with BoardLine("pairing") as board:
        board.follow()
        board.say("pairing", code="2431")
        act = board.act(within_s=60)        # "short", or None

In an event loop: `fileno` is readable when an act waits, and `act(0)` never blocks.
"""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from skywire_board.api_words import (
    MAX_LINE,
    MAX_TEXT,
    SOCKET,
    Act,
    Acted,
    Answer,
    Done,
    Follow,
    GetStatus,
    Press,
    Refused,
    Request,
    Say,
    SayState,
    Status,
    line,
    read_answer,
)

ANSWER_WITHIN_S = 5.0
MAX_ANSWER = 16 * MAX_LINE

T = TypeVar("T", bound=Answer)


class BoardAwayError(Exception):
    """The supervisor cannot be reached, or does not answer as it should. On a machine that is no board: always."""


class BoardRefusedError(Exception):
    """The supervisor answered that it will not; the text says why."""


class BoardLine:
    """One connection. What was said on it ends when it is closed."""

    def __init__(self, source: str = "", path: Path = SOCKET) -> None:
        """`source`: who says, a word of small letters. Raises BoardAwayError."""
        self._source, self._path = source, path
        self._data = bytearray()
        self._acts: list[Act] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(ANSWER_WITHIN_S)
        try:
            _connect(self._socket, path)
        except OSError as error:
            self._socket.close()
            raise self._away(error.strerror or str(error)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def status(self) -> Status:
        return self._ask(GetStatus(), Status)

    def say(self, state: SayState, text: str = "", *, code: str = "", blinks: int = 0) -> None:
        """Replaces what this connection said before."""
        self._ask(Say(self._source, state, text[:MAX_TEXT], code, blinks), Done)

    def follow(self) -> None:
        self._ask(Follow(), Done)

    def press(self, act: Act) -> None:
        self._ask(Press(act), Done)

    def act(self, within_s: float) -> Act | None:
        """The next act of the button; None when there was none within that time. Raises BoardAwayError."""
        end_s = time.monotonic() + within_s
        while not self._acts:
            answer = self._answer(max(0.0, end_s - time.monotonic()))
            if answer is None:
                return None
            if isinstance(answer, Acted):
                self._acts.append(answer.act)
        return self._acts.pop(0)

    def _ask(self, request: Request, kind: type[T]) -> T:
        self._socket.settimeout(ANSWER_WITHIN_S)
        try:
            self._socket.sendall(line(request))
        except OSError as error:
            raise self._away(error.strerror or str(error)) from None
        end_s = time.monotonic() + ANSWER_WITHIN_S
        while (answer := self._answer(end_s - time.monotonic())) is not None:
            if isinstance(answer, Acted):
                self._acts.append(answer.act)
            elif isinstance(answer, Refused):
                raise BoardRefusedError(answer.why)
            elif isinstance(answer, kind):
                return answer
            else:
                raise self._away(f"it answered {answer!r}")
        raise self._away(f"no answer within {ANSWER_WITHIN_S:.0f} s")

    def _answer(self, within_s: float) -> Answer | None:
        """The next line; None when it is not there in time."""
        end_s = time.monotonic() + within_s
        while b"\n" not in self._data:
            if len(self._data) > MAX_ANSWER:
                raise self._away("its answer does not end")
            self._socket.settimeout(max(0.0, end_s - time.monotonic()))
            try:
                data = self._socket.recv(4096)
            except (TimeoutError, BlockingIOError):
                return None
            except OSError as error:
                raise self._away(error.strerror or str(error)) from None
            if not data:
                raise self._away("it closed the connection")
            self._data += data
        text, _, rest = bytes(self._data).partition(b"\n")
        self._data = bytearray(rest)
        try:
            return read_answer(text)
        except msgspec.DecodeError as error:
            raise self._away(f"its answer makes no sense: {error}") from None

    def _away(self, why: str) -> BoardAwayError:
        return BoardAwayError(f"cannot ask the board's supervisor at '{self._path}': {why}")


def _connect(door: socket.socket, path: Path) -> None:
    """A UNIX socket whose queue is full says so at once, whatever the time-out."""
    end_s = time.monotonic() + ANSWER_WITHIN_S
    while True:
        try:
            return door.connect(str(path))
        except BlockingIOError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.05)


def ask_status(path: Path = SOCKET) -> Status:
    """Raises BoardAwayError."""
    with BoardLine(path=path) as board:
        return board.status()


def press(act: Act, path: Path = SOCKET) -> None:
    """Raises BoardAwayError, BoardRefusedError."""
    with BoardLine(path=path) as board:
        board.press(act)


def tell(source: str, state: SayState, text: str = "", path: Path = SOCKET) -> None:
    """Says it once and hangs up: for `confirmed` and `refused`, which last their 3 s. A machine without a supervisor is
    no reason to fail.
    """
    with contextlib.suppress(BoardAwayError, BoardRefusedError), BoardLine(source, path) as board:
        board.say(state, text)
