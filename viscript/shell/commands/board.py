"""`board`: what the light says and why; `board identify` makes it blink fast, to find the board in a rack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viscript.errors import RefusedError, ServiceAwayError, UsageError
from viscript.shell.model import Answer, Command, Talk
from viscript.shell.render import duration, line, pairs

if TYPE_CHECKING:
    from skywire_board.api_words import Status


def talk(talk: Talk, words: list[str]) -> Answer:
    del talk
    if words not in ([], ["identify"]):
        raise UsageError(f"'{' '.join(words)[:80]}' makes no sense here: say nothing, or identify")
    from skywire_board.client import BoardAwayError, BoardRefusedError, ask_status, press  # noqa: PLC0415 (when asked)

    try:
        if words:
            press("short")
            return Answer(("The light blinks fast for 10 s.",), {"identify": True})
        return show(ask_status())
    except BoardAwayError as error:
        raise ServiceAwayError(f"{error}\nOnly a board has lights and a button.") from None
    except BoardRefusedError as error:
        raise RefusedError(str(error)) from None


def show(status: Status) -> Answer:
    """What is well is told in a line each, what is not in its own words."""
    light = status.pattern.replace("_", " ") + (f", {status.blinks} flashes" if status.blinks else "")
    trial = {"trial": ", on trial", "failed": ", failed its trial"}.get(status.verdict, "")
    rows = [
        ("Board", line(status.board)),
        ("Light", f"{light}, for {duration(status.since_s)}: {line(status.text)}"),
        ("Mesh", status.mesh),
        ("Owner", "its keys are on the board" if status.claimed else "none: press the button, then log in as admin"),
        ("Slot", f"{status.slot or 'not known yet'}{trial}"),
        ("Watchdog", line(status.watchdog)),
    ]
    rows += [("Says", f"{line(source)}: {line(said)}") for source, said in status.said.items()]
    rows += [
        (trouble.severity.capitalize(), f"{line(trouble.title)}: {line(trouble.text)}") for trouble in status.troubles
    ]
    return Answer(pairs(rows), status)


COMMAND = Command(("board",), "board [identify]", "What the board's light says, and why", "board", talk=talk)
