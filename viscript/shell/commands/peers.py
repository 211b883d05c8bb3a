"""`peers`: other clusters, those that ask too; accept or refuse them."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from viscript.errors import UsageError
from viscript.shell.commands.peer import read_terms
from viscript.shell.model import Answer, Command, Talk, Word
from viscript.shell.render import line

if TYPE_CHECKING:
    from services.manager.api_words import PeerRow, Peers


USAGE = "peers takes nothing, or 'peers accept <id> [--export vpn] [--name bee]', or 'peers refuse <id>'"
COLUMNS = 80
SHORT = 12


def talk(_talk: Talk, words: list[str]) -> Answer:
    from services.manager.api_words import AnswerPeer, Done, GetPeers, Peers  # noqa: PLC0415 (only when asked)
    from viscript.shell import manager  # noqa: PLC0415

    if words and words[0] in {"accept", "refuse"}:
        terms = read_terms(words[1:], USAGE)
        manager.ask(AnswerPeer(terms.manager_id, words[0] == "accept", terms.exports, name=terms.name), Done)
    elif words:
        raise UsageError(USAGE)
    found = manager.ask(GetPeers(), Peers)
    return show(found)


def show(found: Peers) -> Answer:
    if not found.peers:
        return Answer(("no other clusters (ask one: peer <manager-id> --at host:port)",), found)
    from viscript.shell.tables import Grid, lines_of  # noqa: PLC0415 (it loads rich)

    grid = Grid(("CLUSTER", "NAME", "STATE", "THEY MAY USE", "WE MAY USE"), [_row(peer) for peer in found.peers])
    return Answer((*lines_of(grid), *(step for peer in found.peers for step in _explain(peer))), found)


def _explain(peer: PeerRow) -> list[str]:
    """What to do about it, or why it is so."""
    begin = peer.manager_id[:SHORT]
    if peer.stage == "asks":
        return wrap(
            f"{peer.name or begin} asks to peer: peers accept {begin} [--export vpn], or peers refuse {begin}", COLUMNS
        )
    return wrap(f"{peer.name or begin}: {line(peer.why)}", COLUMNS) if peer.why and not peer.works else []


def _row(peer: PeerRow) -> tuple[str, ...]:
    theirs, ours = (", ".join(names) or "-" for names in (peer.exports, peer.imports))
    return (peer.manager_id[:SHORT], peer.name or "-", _state(peer), theirs, ours)


def _state(peer: PeerRow) -> str:
    if peer.stage == "peered":
        return "peered" if peer.works else "peered, no contact"
    return {"asked": "asked by us", "asks": "asks us"}.get(peer.stage, peer.stage)


COMMAND = Command(
    ("peers",),
    "peers [accept|refuse <id>]",
    "List other clusters, let one in or not",
    "peers accept 31ab…",
    talk=talk,
    words=(Word.PEER_ACT, Word.PEER),
    flags=("--export", "--name"),
)
