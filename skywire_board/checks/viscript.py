"""Does viscript answer? One JSON line over its UNIX socket, one line back, within a deadline.

All that this package knows of viscript's wire is here. Besides the two silences of `line` it may answer that something
is wrong, which is its owner's to mend: the check has its answer.
"""

from pathlib import Path

from skywire_board.checks.line import ask
from skywire_board.errors import SilentError
from skywire_board.model import Severity, Trouble

SOCKET = Path("/run/viscript/api.sock")
DEADLINE_S = 5.0
REQUEST = b'{"id":1,"request":{"do":"status"}}\n'
TITLE = "viscript does not answer"
VISIBLE_AFTER_S = 3.0


async def check_viscript(path: Path = SOCKET, deadline_s: float = DEADLINE_S) -> Trouble | None:
    """None when it answers and is well; else viscript-absent, viscript-hung, or viscript-troubled."""
    try:
        words = await ask(path, REQUEST, lambda said: said["result"].get("trouble", ""), deadline_s)
    except SilentError as error:
        return Trouble(f"viscript-{error.how}", TITLE, Severity.WARN, str(error), visible_after_s=VISIBLE_AFTER_S)
    if words:
        return Trouble("viscript-troubled", "viscript is in trouble", Severity.WARN, str(words))
    return None
