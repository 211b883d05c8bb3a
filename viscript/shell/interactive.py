"""The interactive shell: prompt_toolkit's line, with history and completion. No editor, no suspend, no
pager.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from viscript.api.model import Apps, ListConfigured, ListRunning, RunningApps
from viscript.errors import ViscriptError
from viscript.shell.commands import BY_NAME, TABLE
from viscript.shell.model import Word
from viscript.shell.run import LeaveError, run_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from viscript.api.client import ApiClient

PROMPT = "viscript> "
FRESH_S = 2.0
"""Seconds for which names and ids asked for a completion are good for the next one."""


def run_interactive(daemon: ApiClient, asking: ApiClient, history: Path | None) -> int:
    """Read lines until `exit` or Ctrl+D. `asking` serves completion, which runs beside the commands."""
    session: PromptSession[str] = PromptSession(
        history=_open_history(history),
        completer=_Names(asking),
        complete_while_typing=False,
        complete_in_thread=True,
        enable_suspend=False,
        enable_open_in_editor=False,
        enable_system_prompt=False,
    )
    while True:
        try:
            run_line(daemon, session.prompt(PROMPT))
        except KeyboardInterrupt:
            daemon.close()  # whatever was being asked, its answer is not wanted any more
        except (EOFError, LeaveError):
            return 0


def _open_history(path: Path | None) -> History:
    """The user's file, or memory where none can be written."""
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)


class _Names(Completer):
    """Completes commands, and after a command the apps or ids it takes."""

    def __init__(self, daemon: ApiClient) -> None:
        self._daemon = daemon
        self._asked_at: dict[Word, float] = {}
        self._words: dict[Word, list[tuple[str, str]]] = {}

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        del complete_event
        before = document.text_before_cursor.lstrip()
        name, blank, rest = before.partition(" ")
        if not blank:
            choices = [(command.names[0], command.summary) for command in TABLE]
            typed = name
        else:
            command = BY_NAME.get(name)
            typed = rest.lstrip()
            choices = self._ask(command.word) if command is not None and " " not in typed else []
        for text, meaning in choices:
            if text.startswith(typed):
                yield Completion(text, start_position=-len(typed), display_meta=meaning)

    def _ask(self, word: Word) -> list[tuple[str, str]]:
        if time.monotonic() - self._asked_at.get(word, -FRESH_S) > FRESH_S or word not in self._words:
            try:
                self._words[word] = self._ask_daemon(word)
            except ViscriptError:
                return []
            self._asked_at[word] = time.monotonic()
        return self._words[word]

    def _ask_daemon(self, word: Word) -> list[tuple[str, str]]:
        if word is Word.APP:
            return [(app.name, app.desc) for app in self._daemon.call(ListConfigured(), Apps).apps]
        if word is Word.APP_ID:
            return [(str(app.id), app.app) for app in self._daemon.call(ListRunning(), RunningApps).apps]
        return []
