"""The shell's words: a command, what it needs to run, what it gives back."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from viscript.api.client import ApiClient


class Word(enum.Enum):
    """What a command's argument names, for completion."""

    NOTHING = "nothing"
    APP = "app"
    APP_ID = "app id"
    COMMAND = "command"


class Act(enum.Enum):
    """What the shell itself is to do after a command."""

    NOTHING = "nothing"
    CLEAR = "clear"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Answer:
    """`lines` for people, `data` for programs."""

    lines: tuple[str, ...] = ()
    data: msgspec.Struct | dict[str, object] | None = None
    act: Act = Act.NOTHING


@dataclass(frozen=True, slots=True)
class Command:
    """`names[0]` is the full name; `usage` names its arguments; `run` gets the daemon and the words after
    the name.

    `run` raises ViscriptError; UsageError means that it was asked wrongly.
    """

    names: tuple[str, ...]
    usage: str
    summary: str
    run: Callable[[ApiClient, list[str]], Answer]
    word: Word = Word.NOTHING
