"""Asks a pairing over its socket, without an event loop: for the shell."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Self

from services.lines import LineReader, encode
from services.pairing.api_words import (
    MAX_LINE,
    SOCKET,
    Answer,
    Cancel,
    Confirm,
    Done,
    Refused,
    Shown,
    Watch,
    read_answer,
)
from services.pairing.errors import ApiError, DoorError

WITHIN_S = 10.0


class PairingAwayError(DoorError):
    """No pairing goes on."""


class Line:
    """One connection. `watch`, and then `shown` whenever it is readable."""

    def __init__(self, path: Path = SOCKET) -> None:
        """Raises PairingAwayError."""
        self._lines, self._waiting = LineReader(MAX_LINE, ApiError), list[bytes]()
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._end.settimeout(WITHIN_S)
        try:
            self._end.connect(str(path))
        except OSError as error:
            self._end.close()
            raise PairingAwayError(f"no pairing goes on at '{path}': {error.strerror or error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def fileno(self) -> int:
        return self._end.fileno()

    @property
    def is_waiting(self) -> bool:
        """Whether `shown` has an answer already, though nothing is to be read."""
        return bool(self._waiting)

    def watch(self) -> None:
        self._send(Watch())

    def shown(self, within_s: float | None = None) -> Shown:
        """Raises PairingAwayError where the pairing ended without a word, ApiError."""
        answer = self._answer(within_s)
        if not isinstance(answer, Shown):
            raise ApiError(f"the pairing answers '{type(answer).__name__}'")
        return answer

    def ask(self, request: Confirm | Cancel) -> None:
        self._send(request)
        if not isinstance(self._answer(WITHIN_S), Done):
            raise ApiError("the pairing answers something else")

    def _send(self, request: Watch | Confirm | Cancel) -> None:
        try:
            self._end.sendall(encode(request))
        except OSError as error:
            raise PairingAwayError(f"the pairing is over: {error.strerror or error}") from None

    def _answer(self, within_s: float | None) -> Answer:
        self._end.settimeout(within_s)
        try:
            while not self._waiting:
                data = self._end.recv(MAX_LINE)
                if not data:
                    raise PairingAwayError("the pairing is over")
                self._waiting += self._lines.feed(data)
        except OSError as error:
            raise PairingAwayError(f"the pairing does not answer: {error.strerror or 'in time'}") from None
        answer = read_answer(self._waiting.pop(0))
        if isinstance(answer, Refused):
            raise ApiError(answer.why)
        return answer
