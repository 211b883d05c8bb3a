"""Does viscript answer? One JSON line over its UNIX socket, one line back, within a deadline.

All that this package knows of viscript's wire is here. Three troubles are told apart, as they are cured
differently: nobody listens (it is down or still starting: systemd's business), somebody listens but does not
answer (it hangs: ours), and it answers that something is wrong (its owner's: the check has its answer).
"""

import asyncio
import json
from pathlib import Path

from skywire_board.checks.line import ask_line
from skywire_board.model import Severity, Trouble

SOCKET = Path("/run/viscript/api.sock")
DEADLINE_S = 5.0
REQUEST = b'{"id":1,"request":{"do":"status"}}\n'
TITLE = "viscript does not answer"
VISIBLE_AFTER_S = 3.0


def _trouble(code: str, text: str) -> Trouble:
    return Trouble(code, TITLE, Severity.WARN, text, visible_after_s=VISIBLE_AFTER_S)


async def check_viscript(path: Path = SOCKET, deadline_s: float = DEADLINE_S) -> Trouble | None:
    """None when it answers and is well; else viscript-absent, viscript-hung, or viscript-troubled."""
    try:
        async with asyncio.timeout(deadline_s):
            answer = await ask_line(path, REQUEST)
    except TimeoutError:
        return _trouble("viscript-hung", f"no answer within {deadline_s:.0f} s")
    except OSError as error:
        return _trouble("viscript-absent", f"cannot reach '{path}': {error.strerror or error}")
    except ValueError as error:
        return _trouble("viscript-hung", f"the answer is no line: {error}")
    try:
        said = json.loads(answer)
        result = said["result"]
        words = result.get("trouble", "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return _trouble("viscript-hung", f"the answer is no status: {answer[:200]!r}")
    if words:
        return Trouble("viscript-troubled", "viscript is in trouble", Severity.WARN, str(words))
    return None
