"""`peer`: ask another cluster to peer with this one, by the id of its manager."""

from dataclasses import dataclass

from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Talk

USAGE = "peer takes a manager's id and where it is, such as 'peer 31ab… --at 203.0.113.1:7997 --export vpn'"
FLAGS = ("--at", "--export", "--name")


@dataclass(frozen=True, slots=True)
class Terms:
    """`exports`: what they may use here; None leaves it to manager.yaml."""

    manager_id: str
    at: str = ""
    exports: tuple[str, ...] | None = None
    name: str = ""


def talk(_talk: Talk, words: list[str]) -> Answer:
    terms = read_terms(words, USAGE)
    from services.manager.api_words import Done, Peer  # noqa: PLC0415 (only when asked)
    from viscript.shell import manager  # noqa: PLC0415

    done = manager.ask(Peer(terms.manager_id, terms.at, terms.exports, name=terms.name), Done)
    return Answer(("asked: it waits for their word (see: peers)",), done)


def read_terms(words: list[str], usage: str) -> Terms:
    """An id, and flags each with a word after it; `--export` may come again. Raises UsageError."""
    plain: list[str] = []
    given: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        if word in FLAGS and (value := next(rest, "")):
            given.setdefault(word, []).append(value)
        else:
            plain.append(word)
    if len(plain) != 1 or plain[0].startswith("-") or any(len(given.get(flag, ())) > 1 for flag in ("--at", "--name")):
        raise UsageError(usage)
    exports = tuple(given["--export"]) if "--export" in given else None
    return Terms(plain[0], "".join(given.get("--at", ())), exports, "".join(given.get("--name", ())))


COMMAND = Command(
    ("peer",),
    "peer <id> [--at host:port]",
    "Ask a cluster, by its manager, to peer",
    "peer 31ab… --at 203.0.113.1:7997 --export vpn --name bee",
    talk=talk,
    flags=FLAGS,
)
