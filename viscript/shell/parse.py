"""From a line to words, and from words to what a command expects. Words are never changed: no lower-casing."""

from __future__ import annotations

import re
import shlex

from viscript.errors import UsageError

ON_NODE = re.compile(r"@?([A-Za-z0-9][A-Za-z0-9._-]*)/([0-9]+)")
"""An id on another board: `pi-3/4` or `@pi-3/4`."""

ALL = "all"

_BEFORE_COMMENT = re.compile(r"""(?:\\.\#*|'[^']*'|"(?:\\.|[^"\\])*"|(?<=\S)\#|[^#])*""", re.DOTALL)
"""What a line says: `#` begins a comment only where a word could begin, which shlex does not know."""


def split_line(line: str) -> list[str]:
    """POSIX quoting and comments. Raises UsageError."""
    said = _BEFORE_COMMENT.match(line)
    try:
        return shlex.split(said[0] if said else line)
    except ValueError as error:
        raise UsageError(f"cannot read the line: {str(error).lower()}") from error


def expect_nothing(name: str, words: list[str]) -> None:
    if words:
        raise UsageError(f"{name} takes no arguments, got '{words[0]}'")


def expect_id(name: str, words: list[str]) -> int:
    """The one argument, an application's id."""
    if len(words) != 1:
        raise UsageError(f"{name} takes one id, such as '{name} 2' (see list_apps)")
    if not (words[0].isascii() and words[0].isdigit() and len(words[0]) < 10):
        raise UsageError(f"'{words[0]}' is not an id; expected a whole number (see list_apps)")
    return int(words[0])


def expect_count(name: str, word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 6):
        raise UsageError(f"{name} takes a whole number, got '{word}'")
    return int(word)


def take_flag(name: str, words: list[str], flag: str) -> bool:
    """Whether the only argument is this flag; anything else is refused."""
    if not words:
        return False
    if words == [flag]:
        return True
    raise UsageError(f"{name} takes only {flag}, got '{' '.join(words)}'")


def split_off(words: list[str], flag: str) -> tuple[bool, list[str]]:
    """Whether the flag is among the words, and the others."""
    return flag in words, [word for word in words if word != flag]


def read_nodes(words: list[str]) -> tuple[str, ...]:
    """Names of boards, with or without `@`; none for `all`."""
    names = tuple(word.removeprefix("@") for word in words)
    if ALL in names:
        return ()
    for name in names:
        if not name or not ON_NODE.fullmatch(f"{name}/0"):
            raise UsageError(f"'{name}' is not the name of a board (see nodes)")
    return names


def take_node(words: list[str]) -> tuple[str | None, list[str]]:
    """The board that the first id among the words is on, and the words with the bare id."""
    for place, word in enumerate(words):
        if found := ON_NODE.fullmatch(word):
            return found[1], [*words[:place], found[2], *words[place + 1 :]]
        if not word.startswith("-"):
            break
    return None, words
