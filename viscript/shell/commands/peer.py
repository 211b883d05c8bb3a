"""`peer`: ask another cluster to peer with this one, by the id of its manager."""

from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Talk

USAGE = "peer takes a manager's id and perhaps where it is, such as 'peer 31ab… --at 203.0.113.1:7997'"


def talk(_talk: Talk, words: list[str]) -> Answer:
    match words:
        case [manager_id]:
            at = ""
        case [manager_id, "--at", at] | ["--at", at, manager_id]:
            pass
        case _:
            raise UsageError(USAGE)
    if manager_id.startswith("-"):
        raise UsageError(USAGE)
    from services.manager.api_words import Done, Peer  # noqa: PLC0415 (only when asked)
    from viscript.shell import manager  # noqa: PLC0415

    done = manager.ask(Peer(manager_id, at), Done)
    return Answer(("asked: it waits for their word (see: peers)",), done)


COMMAND = Command(
    ("peer",),
    "peer <id> [--at host:port]",
    "Ask a cluster, by its manager, to peer",
    "peer 31ab… --at 203.0.113.1:7997",
    talk=talk,
    flags=("--at",),
)
