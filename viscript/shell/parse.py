"""From a line to words, and from words to what a command expects. Words are never changed: no lower-casing."""

from __future__ import annotations

import shlex

from viscript.errors import UsageError


def split_line(line: str) -> list[str]:
    """POSIX quoting; `#` begins a comment. Raises UsageError."""
    try:
        return shlex.split(line, comments=True)
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


def take_flag(name: str, words: list[str], flag: str) -> bool:
    """Whether the only argument is this flag; anything else is refused."""
    if not words:
        return False
    if words == [flag]:
        return True
    raise UsageError(f"{name} takes only {flag}, got '{' '.join(words)}'")
