"""`pair`: this board with another one, as holding its button for 3 s does; shows where it is, and the code, live."""

from __future__ import annotations

import contextlib
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from viscript.errors import RefusedError, ServiceAwayError, UsageError
from viscript.shell import screen
from viscript.shell.model import Act, Answer, Command, Talk
from viscript.shell.render import line

if TYPE_CHECKING:
    from services.pairing.api_words import Shown
    from services.pairing.client import Line

STARTED_WITHIN_S, LOOK_S = 25.0, 0.3
USAGE = "pair takes nothing, or 'confirm', 'cancel', 'status': in all of them, --json"


def talk(talk: Talk, words: list[str]) -> Answer:
    match words:
        case []:
            return _pair(talk)
        case ["confirm" | "cancel" as what]:
            return _say(what)
        case ["status"]:
            return _status()
    raise UsageError(USAGE)


def _pair(talk: Talk) -> Answer:
    with _translated(), _open() as pairing:
        pairing.watch()
        shown = _follow(talk, pairing)
    if shown.stage == "refused":
        raise RefusedError(f"not paired: {line(shown.text)}")
    return Answer(act=Act.TOLD) if talk.as_json else Answer((f"paired: {line(shown.text)}",), shown)


def _follow(talk: Talk, pairing: Line) -> Shown:
    """Until it is over. On a terminal, Enter confirms once the code is there; Ctrl+C leaves it to the button."""
    shown = pairing.shown()
    while not shown.is_over:
        _tell(talk, shown)
        asks = talk.live and not talk.as_json and shown.stage == "comparing"
        if asks and not pairing.is_waiting and not _answered_first(pairing):
            with contextlib.suppress(EOFError):
                input()
            _say("confirm")
        shown = pairing.shown()
    if talk.as_json:
        _tell(talk, shown)
    return shown


def _answered_first(pairing: Line) -> bool:
    """Whether the pairing said something before the person pressed Enter."""
    screen.say("The same code on the other board? Then press Enter here and confirm there (else: pair cancel).")
    readable, _, _ = select.select([pairing.fileno(), sys.stdin.fileno()], [], [])
    return pairing.fileno() in readable


def _tell(talk: Talk, shown: Shown) -> None:
    if talk.as_json:
        screen.say_json(shown)
        return
    others = f" (there: {line(', '.join(shown.candidates))})" if shown.candidates and shown.stage == "looking" else ""
    screen.say(f"{line(shown.text)}{others}")


def _say(what: str) -> Answer:
    from services.pairing.api_words import Cancel, Confirm  # noqa: PLC0415 (only when asked)
    from services.pairing.client import Line  # noqa: PLC0415

    with _translated(), Line() as pairing:
        pairing.ask(Confirm() if what == "confirm" else Cancel())
    return Answer((f"{what}ed here" if what == "confirm" else "cancelled",), {what: True})


def _status() -> Answer:
    from services.pairing.client import Line  # noqa: PLC0415 (only when asked)

    with _translated(), Line() as pairing:
        pairing.watch()
        shown = pairing.shown(within_s=5)
    return Answer((line(shown.text),), shown)


@contextmanager
def _open() -> Iterator[Line]:
    """The pairing that goes on, else a new one: as if the button were held."""
    from services.pairing.client import Line, PairingAwayError  # noqa: PLC0415 (only when asked)

    try:
        found = Line()
    except PairingAwayError:
        _hold()
        found = _wait()
    with found:
        yield found


def _hold() -> None:
    from skywire_board.client import BoardAwayError, BoardRefusedError, press  # noqa: PLC0415 (only when asked)

    try:
        press("hold3")
    except BoardAwayError as error:
        raise ServiceAwayError(f"{error}\nPairing is for boards; elsewhere: manager invite") from None
    except BoardRefusedError as error:
        raise RefusedError(str(error)) from None


def _wait() -> Line:
    from services.pairing.client import Line, PairingAwayError  # noqa: PLC0415 (only when asked)

    give_up_s = time.monotonic() + STARTED_WITHIN_S
    while True:
        try:
            return Line()
        except PairingAwayError:
            if time.monotonic() > give_up_s:
                raise
        time.sleep(LOOK_S)


@contextmanager
def _translated() -> Iterator[None]:
    from services.pairing.client import PairingAwayError  # noqa: PLC0415 (only when asked)
    from services.pairing.errors import PairingError  # noqa: PLC0415

    try:
        yield
    except PairingAwayError as error:
        raise ServiceAwayError(str(error)) from None
    except PairingError as error:
        raise RefusedError(str(error)) from None


COMMAND = Command(
    ("pair",),
    "pair [confirm|cancel|status]",
    "Pair with another board, as its button",
    "pair",
    talk=talk,
)
