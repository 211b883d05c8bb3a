"""The shell's words: a command, what it asks, with whom it talks, what it gives back."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import msgspec

from viscript.api.model import Request
from viscript.errors import ProtocolError

T = TypeVar("T")


class Word(enum.Enum):
    """What a command's argument names, for completion."""

    APP = "app"
    APP_ID = "app id"
    NODE = "node"
    COMMAND = "command"
    TOPIC = "command or app"
    LEVEL = "log level"
    OWN_COMMAND = "command of that app"
    CONTACT = "whom messages go to"
    FILE = "file from another"
    FILE_ACT = "what to do with a file"
    PATH = "path"
    PEER = "other cluster"
    PEER_ACT = "what to do with a cluster"


class Act(enum.Enum):
    """What the shell itself is to do after a command."""

    NOTHING = "nothing"
    TOLD = "nothing, all is told"
    CLEAR = "clear"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Answer:
    """`lines` for people, `data` for programs; `problems` are what failed, told beside the lines."""

    lines: tuple[str, ...] = ()
    data: msgspec.Struct | dict[str, Any] | None = None
    act: Act = Act.NOTHING
    problems: tuple[str, ...] = ()
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """One request, and how its result is shown: here, or as one of several boards' answers."""

    request: Request
    kind: type[T]
    show: Callable[[T], Answer]

    def read(self, result: msgspec.Raw) -> Answer:
        """Raises ProtocolError for a result of another kind."""
        return self.show(self.decode(result))

    def decode(self, result: msgspec.Raw) -> T:
        try:
            return msgspec.json.decode(result, type=self.kind)
        except msgspec.DecodeError as error:
            raise ProtocolError(f"cannot understand the answer: {error}") from error


class Caller(Protocol):
    """Whom a command asks: this machine's daemon, or through it another board. `patience_s` is how long an answer
    may be waited for on purpose.
    """

    patience_s: float

    def call(self, request: Request, kind: type[T]) -> T: ...

    def ask(self, request: Request) -> None:
        """Send it; `fileno` is readable once `take` can have the answer."""

    def take(self, kind: type[T]) -> T: ...

    def fileno(self) -> int: ...

    def another(self) -> Self:
        """A second line to the same place."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Talk:
    """What a command works with. It is `live` when a person sits at a terminal."""

    daemon: Caller
    as_json: bool = False
    live: bool = False


def never(_words: list[str], _talk: Talk) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Command:
    """`names[0]` is the full name; `usage` names its arguments.

    `ask` turns the words after the name into one question, which other boards can be asked as well. What is more
    than a question and an answer is done by `talk`: always when there is no `ask`, else for whatever words `talks`
    is true; `elsewhere` lets it talk to another board without an `ask`. Both raise ViscriptError; UsageError means
    that it was asked wrongly. `passes_on` is set where words go to a program unchanged. `more` are lines of its help.
    """

    names: tuple[str, ...]
    usage: str
    summary: str
    example: str
    ask: Callable[[list[str]], Question[Any]] | None = None
    talk: Callable[[Talk, list[str]], Answer] | None = None
    talks: Callable[[list[str], Talk], bool] = never
    words: tuple[Word, ...] = ()
    flags: tuple[str, ...] = ()
    passes_on: bool = False
    elsewhere: bool = False
    more: tuple[str, ...] = ()

    def run(self, talk: Talk, words: list[str]) -> Answer:
        if self.talk is not None and self.is_talk(talk, words):
            return self.talk(talk, words)
        assert self.ask is not None
        question = self.ask(words)
        return question.show(talk.daemon.call(question.request, question.kind))

    def is_talk(self, talk: Talk, words: list[str]) -> bool:
        return self.ask is None or self.talks(words, talk)
