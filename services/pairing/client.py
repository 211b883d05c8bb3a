"""Asks a pairing over its socket, without an event loop: for the shell."""

from __future__ import annotations

from pathlib import Path

from services.app.asking_line import AskingLine
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


class Line(AskingLine):
    """One connection. `watch`, and then `shown` whenever it is readable."""

    def __init__(self, path: Path = SOCKET) -> None:
        """Raises PairingAwayError."""
        super().__init__(path, LineReader(MAX_LINE, ApiError), lambda error: _away(path, error), WITHIN_S)

    @property
    def is_waiting(self) -> bool:
        """Whether `shown` has an answer already, though nothing is to be read."""
        return bool(self._whole)

    def watch(self) -> None:
        self.say(encode(Watch()))

    def shown(self, within_s: float | None = None) -> Shown:
        """Raises PairingAwayError where the pairing ended without a word, ApiError."""
        self.wait_at_most(within_s)
        answer = self._answer()
        if not isinstance(answer, Shown):
            raise ApiError(f"the pairing answers '{type(answer).__name__}'")
        return answer

    def ask(self, request: Confirm | Cancel) -> None:
        self.wait_at_most(WITHIN_S)
        self.say(encode(request))
        if not isinstance(self._answer(), Done):
            raise ApiError("the pairing answers something else")

    def _answer(self) -> Answer:
        answer = read_answer(self.hear())
        if isinstance(answer, Refused):
            raise ApiError(answer.why)
        return answer


def _away(path: Path, error: OSError | None) -> PairingAwayError:
    match error:
        case None:
            return PairingAwayError("the pairing is over")
        case TimeoutError():
            return PairingAwayError("the pairing does not answer in time")
    return PairingAwayError(f"no pairing goes on at '{path}': {error.strerror or error}")
