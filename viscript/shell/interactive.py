"""The interactive shell: prompt_toolkit's line, with history, completion and help as one types. No editor, no suspend,
no pager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from viscript.api.model import AskStatus, Status
from viscript.errors import DaemonAwayError, ViscriptError
from viscript.shell import screen
from viscript.shell.completion import Names, find_typed
from viscript.shell.run import LeaveError, run_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from viscript.api.client import ApiClient

PROMPT = "viscript> "
COMPLETION_DEADLINE_S = 5.0


def run_interactive(daemon: ApiClient, history: Path | None, mend: Callable[[], None] | None = None) -> int:
    """Read lines until `exit` or Ctrl+D. `mend` is offered to the person when the daemon is away."""
    _greet(daemon, mend)
    session: PromptSession[str] = PromptSession(
        history=_open_history(history),
        # Completion runs beside the commands, and must not wait as long as they may.
        completer=Names(daemon.another(COMPLETION_DEADLINE_S)),
        complete_while_typing=False,
        complete_in_thread=True,
        bottom_toolbar=_explain_typed,
        enable_suspend=False,
        enable_open_in_editor=False,
        enable_system_prompt=False,
    )
    while True:
        try:
            for line in session.prompt(PROMPT).splitlines():  # pasted lines are as many commands
                run_line(daemon, line)
        except KeyboardInterrupt:
            daemon.close()  # whatever was being asked, its answer is not wanted any more
        except (EOFError, LeaveError):
            return 0


def _greet(daemon: ApiClient, mend: Callable[[], None] | None) -> None:
    try:
        _say_hello(daemon)
    except DaemonAwayError as error:
        screen.complain(str(error))
        if mend is None or not _agrees("Start it now? [y/N] "):
            return
        try:
            mend()
            _say_hello(daemon)
        except ViscriptError as trouble:
            screen.complain(str(trouble))
    except ViscriptError as error:
        screen.complain(str(error))


def _say_hello(daemon: ApiClient) -> None:
    status = daemon.call(AskStatus(), Status)
    screen.say(f"Viscript {status.version}. Type 'help' for the commands.")
    if status.trouble:
        screen.complain(status.trouble)


def _agrees(question: str) -> bool:
    try:
        return input(question).strip().lower() in {"y", "yes"}
    except (EOFError, KeyboardInterrupt):
        return False


def _explain_typed() -> str:
    """The line under the prompt: what the command expects that is being typed."""
    command, _ = find_typed(get_app().current_buffer.document.text.split())
    if command is None:
        return "Tab completes; 'help' lists the commands"
    return f"{command.usage}   {command.summary}"


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
