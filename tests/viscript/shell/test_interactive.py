"""The interactive shell on a real terminal: a pseudo-terminal holds the other end."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viscript.daemon import Daemon

DEADLINE_S = 30.0


class Terminal:
    """A program on a terminal: type to it, wait until it shows something."""

    def __init__(self, environment: dict[str, str], *argv: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execve(sys.executable, [sys.executable, *argv], environment)  # noqa: S606 (the child of pty.fork)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait_for(self, text: str) -> str:
        """All that was shown up to and with `text`; answers the terminal query prompt_toolkit makes."""
        seen, end = "", time.monotonic() + DEADLINE_S
        while text not in seen:
            ready, _, _ = select.select([self._fd], [], [], max(end - time.monotonic(), 0))
            assert ready, f"never showed {text!r}, but: {seen!r}"
            chunk = os.read(self._fd, 4096).decode("utf-8", "replace")
            if "\x1b[6n" in chunk:
                self.type("\x1b[1;1R")
            seen += chunk
        return seen

    def wait_end(self) -> int:
        """The exit code, once the program has left its terminal."""
        with contextlib.suppress(OSError):
            while select.select([self._fd], [], [], DEADLINE_S)[0] and os.read(self._fd, 4096):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self._fd)


@pytest.fixture
def terminal(daemon: Daemon, tmp_path: Path) -> Iterator[Terminal]:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**daemon.environment, "TERM": "xterm", "HOME": str(home), "PAGER": "sh", "EDITOR": "sh"}
    environment.pop("XDG_STATE_HOME", None)
    made = Terminal(environment, "-m", "viscript")
    yield made
    made.close()


def test_a_person_types_and_leaves(daemon: Daemon, terminal: Terminal) -> None:
    terminal.wait_for("viscript>")
    terminal.type("start deaf 'Two Words'\r")
    terminal.wait_for(f"Added external app (ID: 2, Command: {daemon.directory}/bin/deaf Two Words)")
    terminal.wait_for("viscript>")
    terminal.type("nonsense\r")
    terminal.wait_for('"nonsense" is an unknown command.')
    terminal.wait_for("viscript>")
    terminal.type("exit\r")
    assert terminal.wait_end() == 0
    history = daemon.directory / "home" / ".local" / "state" / "viscript" / "history"
    assert "+start deaf 'Two Words'" in history.read_text()


def test_names_complete(terminal: Terminal) -> None:
    terminal.wait_for("viscript>")
    for typed, shown in (("star", "r"), ("\t", "t"), (" appt", "t"), ("\t", "racker"), (" 127.0.0.1:0\r", "(ID: 2,")):
        terminal.type(typed)
        terminal.wait_for(shown)
    terminal.wait_for("viscript>")
    terminal.type("\x04")
    assert terminal.wait_end() == 0


def test_neither_suspend_nor_editor_nor_shell_is_reached(terminal: Terminal) -> None:
    terminal.wait_for("viscript>")
    terminal.type("\x1a")
    terminal.type("\x18\x05")
    terminal.type("\x1b!")
    terminal.type("\x15version\r")
    terminal.wait_for("viscript 0.1.0")
    terminal.wait_for("viscript>")
    terminal.type("\x03")
    terminal.wait_for("viscript>")
    terminal.type("quit\r")
    assert terminal.wait_end() == 0
