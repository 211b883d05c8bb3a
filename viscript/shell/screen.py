"""Where the shell speaks: standard output, standard error, and whether they are a person's terminal."""

# ruff: noqa: T201 (the shell speaks here)
from __future__ import annotations

import os
import re
import sys

import msgspec

from viscript.shell.render import plain

_STEERING = re.compile(r"[\x7f-\x9f]")
"""What JSON leaves as it is and a terminal obeys; it stands only within strings, which may be written so."""

RED, RESET, CLEAR_SCREEN = "\x1b[31m", "\x1b[0m", "\x1b[2J\x1b[H"


def is_live() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def has_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def say(text: str) -> None:
    print(text, flush=True)


def say_json(value: object) -> None:
    text = msgspec.json.encode(value).decode()
    say(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def write(text: str) -> None:
    """Text as it is, without an end of line."""
    sys.stdout.write(text)
    sys.stdout.flush()


def complain(text: str) -> None:
    text = "\n".join(plain(line) for line in text.split("\n"))
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    print(f"{RED}{text}{RESET}" if coloured else text, file=sys.stderr, flush=True)


def clear() -> None:
    if sys.stdout.isatty():
        write(CLEAR_SCREEN)
