"""Does the mesh work? Asked of the node, one line of its own wire; all that this package knows of it is here.

The node measures from end to end: a question to the manager and back through the session. A board that is alone is a
network of one, whose manager it is itself.
"""

from pathlib import Path

from skywire_board.checks.line import ask
from skywire_board.errors import SilentError
from skywire_board.model import Finding, Mesh, Severity, Trouble
from skywire_board.patterns import cause_of

SOCKET = Path("/run/skywire/node.sock")
DEADLINE_S = 5.0
REQUEST = b'{"do":"status"}\n'
REFUSED = "the manager refused: "  # the node's words for an admission that was refused
VISIBLE_AFTER_S = 120.0  # a node takes long to start on a small board, and says so itself
REFUSED_AFTER_S = 20.0


async def check_mesh(path: Path = SOCKET, deadline_s: float = DEADLINE_S) -> Finding:
    """The fact, and a trouble when the node does not answer. That the mesh does not work is for others to weigh."""
    try:
        works, summary = await ask(path, REQUEST, lambda said: (bool(said["works"]), str(said["summary"])), deadline_s)
    except SilentError as error:
        return _silent(f"node-{error.how}", str(error))
    fact = Mesh(answers=True, works=works, text=summary[:200])
    return Finding(_refused(summary) if REFUSED in summary and not works else None, fact)


def _refused(summary: str) -> Trouble:
    cause = cause_of("refused-fault")
    text = summary.partition(REFUSED)[2][:200]
    return Trouble(cause.code, cause.title, Severity.FAULT, text, cause.blinks, visible_after_s=REFUSED_AFTER_S)


def _silent(code: str, text: str) -> Finding:
    trouble = Trouble(code, "the node does not answer", Severity.WARN, text, 0, "", VISIBLE_AFTER_S)
    return Finding(trouble, Mesh(answers=False, works=False, text=text))
