"""`reset`: factory reset. Identity, settings and data go; the running system stays."""

import sys

from viscript.errors import RefusedError, UsageError
from viscript.shell.model import Answer, Command, Talk
from viscript.shell.parse import take_flag

WARNING = """\
This forgets everything on this board: its identity, networks, messages, settings, and the
keys that log in by its button. What stands on its boot partition (authorized_keys,
skywire.yaml) is applied anew: keys there log in as before, without one it is nobody's again.
Gone from skywire.yaml are Wi-Fi password, invitation and identity words: write them there anew.
To have its identity back later, write down its words first: identity export"""


def talk(talk: Talk, words: list[str]) -> Answer:
    name = _name()
    if not take_flag("reset", words, "--yes"):
        if not talk.live:
            raise UsageError("this forgets everything on the board: say --yes")
        sys.stdout.write(f"{WARNING}\n")
        if input(f"Type the board's name ('{name}') to go on: ").strip() != name:
            return Answer(("Nothing was changed.",), {"reset": False})
    from skywire_board.client import BoardAwayError, BoardRefusedError, press  # noqa: PLC0415 (only when asked)

    try:
        press("hold10")
    except (BoardAwayError, BoardRefusedError) as error:
        raise RefusedError(str(error)) from None
    return Answer((f"{name} forgets everything now, and restarts.",), {"reset": True})


def _name() -> str:
    import socket  # noqa: PLC0415

    return socket.gethostname()


COMMAND = Command(
    ("reset",),
    "reset [--yes]",
    "Factory reset: forget identity and data",
    "reset",
    talk=talk,
    flags=("--yes",),
)
