"""`identity`: whose board this is, its 24 words to write down, and another identity in its place."""

# ruff: noqa: PLC0415 (the board's door is loaded when it is asked)
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from viscript.errors import RefusedError, UsageError
from viscript.shell.model import Answer, Command, Talk
from viscript.shell.render import pairs

if TYPE_CHECKING:
    from services.identity.words import Answer as Told
    from services.identity.words import Request

    T = TypeVar("T", bound=Told)

USAGE = "identity takes nothing, or export, or restore (the words are asked for, they never go on the line)"
MAX_LETTERS = 4096
WORDS, A_ROW = 24, 4


def talk(talk: Talk, words: list[str]) -> Answer:
    match words:
        case []:
            return _show()
        case ["export", *flags] if flags in ([], ["--force"]):
            return _export(talk, force=bool(flags))
        case ["restore", *flags] if flags in ([], ["--yes"]):
            return _restore(talk, agreed=bool(flags))
        case _:
            raise UsageError(USAGE)


def _ask(request: Request, kind: type[T]) -> T:
    from services.identity import client
    from services.identity.errors import DoorError

    try:
        return client.ask(request, kind)
    except DoorError as error:
        raise RefusedError(str(error)) from None


def _show() -> Answer:
    from services.identity.words import Show, Shown

    shown = _ask(Show(), Shown)
    return Answer(pairs([("Node", shown.node_id), ("Backup", "identity export, and write the words down")]), shown)


def _export(talk: Talk, *, force: bool) -> Answer:
    from services.identity.words import Export, Exported

    if not (talk.live or force):
        raise UsageError("the words would go into a file or pipe: ask in a terminal (ssh -t), or say --force")
    told = _ask(Export(), Exported)
    rows = [
        "".join(f"{first + at + 1:>4}. {word:<9}" for at, word in enumerate(told.words[first : first + A_ROW])).rstrip()
        for first in range(0, len(told.words), A_ROW)
    ]
    last = "Whoever has these words is this board. Write them on paper; `identity restore` takes them back."
    return Answer((*rows, last), told)


def _restore(talk: Talk, *, agreed: bool) -> Answer:
    from services.identity.words import Restore, Restored

    typed = _typed(talk)
    found = _ask(Restore(typed, look=True), Restored)
    if found.node_id == found.before:
        return Answer((f"These are the words of this board: it is node {found.node_id} already.",), found)
    if not agreed:
        if not talk.live:
            raise UsageError("this replaces the identity and restarts the board: say --yes")
        sys.stdout.write(f"The words are those of node {found.node_id}.\nThis board is {found.before}.\n")
        if input("Replace it, and restart the board? [y/N] ").strip().lower() not in {"y", "yes"}:
            return Answer(("Nothing was changed.",), found)
    done = _ask(Restore(typed), Restored)
    return Answer(
        (
            f"The board restarts now, and is node {done.node_id} then.",
            f"What {done.before[:12]}… kept is set aside, until its words are given here again.",
        ),
        done,
    )


def _typed(talk: Talk) -> str:
    """From a terminal unseen until 24 words or an empty line, else all there is."""
    if not talk.live:
        return sys.stdin.read(MAX_LETTERS + 1)
    from viscript.shell.keyboard import read_typed, unseen_lines
    from viscript.shell.screen import say

    text = ""
    with unseen_lines() as terminal:
        say("The 24 words, which are not shown (an empty line ends):")
        while sum(word.isalpha() for word in text.split()) < WORDS and (line := read_typed(terminal)).strip():
            text += line.decode(errors="replace")
    return text


COMMAND = Command(
    ("identity",),
    "identity [export|restore]",
    "This board's node id, and its 24 words",
    "identity export",
    talk=talk,
    flags=("--force", "--yes"),
)
