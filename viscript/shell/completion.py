"""What Tab offers: the word a command expects next, and what the daemon knows of that kind."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from prompt_toolkit.completion import Completer, Completion

from viscript.api.model import Apps, AskSelf, ListConfigured, ListNodes, ListRunning, Nodes, RunningApps, SelfReport
from viscript.errors import ViscriptError
from viscript.shell import manager, messenger
from viscript.shell.commands import BY_NAME, TABLE
from viscript.shell.model import Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from viscript.shell.model import Caller, Command

    Choices = list[tuple[str, str]]

FRESH_S = 2.0
"""Seconds for which names and ids asked for a completion are good for the next one."""

LEVELS = ("debug", "info", "warning", "error")
WORDS: dict[Word, tuple[str, ...]] = {
    Word.LEVEL: LEVELS,
    Word.FILE_ACT: ("accept", "refuse", "save"),
    Word.PEER_ACT: ("accept", "refuse"),
}
SERVICES: dict[Word, Callable[[], Choices]] = {
    Word.CONTACT: messenger.names,
    Word.FILE: messenger.files,
    Word.PEER: manager.peers,
}
VALUED_FLAGS = frozenset({"-n", "--at", "--export", "--name"})
MOST_FILES = 200


class Names(Completer):
    """Completes commands, and after a command whatever it takes."""

    def __init__(self, daemon: Caller) -> None:
        self._daemon = daemon
        self._asked_at: dict[Word, float] = {}
        self._known: dict[Word, Choices] = {}

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        del complete_event
        *before, typed = document.text_before_cursor.lstrip().split(" ")
        for text, meaning in self._choose([word for word in before if word], typed):
            if text.startswith(typed):
                yield Completion(text, start_position=-len(typed), display_meta=meaning)

    def _choose(self, before: list[str], typed: str) -> Choices:
        command, words = find_typed(before)
        if command is None:
            return _commands() if not words else []
        if typed.startswith("-"):
            return [(flag, command.usage) for flag in command.flags if flag not in words]
        return self._choose_argument(find_expected(command, words), words, typed)

    def _choose_argument(self, expected: Word | None, words: list[str], typed: str) -> Choices:
        if expected is Word.APP_ID and typed.startswith("@"):
            return [(f"@{name}/", address) for name, address in self._ask(Word.NODE) if name != "all"]
        if expected is Word.OWN_COMMAND:
            return self._ask_app(words[0])
        if expected is Word.PATH:
            return _paths(typed)
        return self._ask(expected) if expected is not None else []

    def _ask_app(self, app_id: str) -> Choices:
        try:
            return [(name, "") for name in self._daemon.call(AskSelf(int(app_id)), SelfReport).commands]
        except (ViscriptError, ValueError):
            return []

    def _ask(self, word: Word) -> Choices:
        if word not in self._known or time.monotonic() - self._asked_at[word] > FRESH_S:
            try:
                self._known[word] = self._find(word)
            except ViscriptError:
                return []
            self._asked_at[word] = time.monotonic()
        return self._known[word]

    def _find(self, word: Word) -> Choices:
        match word:
            case Word.APP:
                return [(app.name, app.desc) for app in self._daemon.call(ListConfigured(), Apps).apps]
            case Word.APP_ID:
                return [(str(app.id), app.app) for app in self._daemon.call(ListRunning(), RunningApps).apps]
            case Word.NODE:
                nodes = self._daemon.call(ListNodes(), Nodes).nodes
                return [*((node.name, node.address) for node in nodes), ("all", "every board")]
            case Word.TOPIC:
                return [*_commands(), *self._ask(Word.APP)]
            case Word.COMMAND:
                return _commands()
            case _:
                return SERVICES[word]() if word in SERVICES else [(choice, "") for choice in WORDS.get(word, ())]


def find_typed(words: list[str]) -> tuple[Command | None, list[str]]:
    """The command that is being typed, that of `on` included, and the words after it."""
    command = BY_NAME.get(words[0]) if words else None
    if command is not None and command.names[0] == "on" and len(words) > 2:
        return find_typed(words[2:])
    return (command, words[1:]) if command is not None else (None, words)


def find_expected(command: Command, words: list[str]) -> Word | None:
    """What comes after these words. Boards may be any number."""
    place = len([word for word in words if not word.startswith("-")])
    if words and words[-1] in VALUED_FLAGS:
        return None
    if place < len(command.words):
        return command.words[place]
    return Word.NODE if command.words[-1:] == (Word.NODE,) else None


def _commands() -> Choices:
    return [(command.names[0], command.summary) for command in TABLE]


def _paths(typed: str) -> Choices:
    """What lies there; a folder ends in a slash."""
    folder, _, begun = typed.rpartition("/")
    try:
        found = sorted(
            f"{entry.name}/" if entry.is_dir() else entry.name
            for entry in os.scandir(f"{folder}/" if "/" in typed else ".")
            if entry.name.startswith(begun) and (begun or not entry.name.startswith("."))
        )
    except OSError:
        return []
    before = typed[: len(typed) - len(begun)]
    return [(f"{before}{name}", "") for name in found[:MOST_FILES] if name.isprintable() and " " not in name]
