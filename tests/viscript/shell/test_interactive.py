"""The interactive shell on a real terminal: a pseudo-terminal holds the other end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viscript.daemon import Daemon
from tests.viscript.shell.terminal import Terminal, make_environment, on_terminal


@pytest.fixture
def terminal(daemon: Daemon, tmp_path: Path) -> Iterator[Terminal]:
    with on_terminal(make_environment(daemon, tmp_path / "home"), "-m", "viscript") as made:
        yield made


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


def test_pasted_lines_are_commands_each(terminal: Terminal) -> None:
    terminal.wait_for("viscript>")
    terminal.type("\x1b[200~version\nnonsense\nquit\n\x1b[201~\r")
    assert "viscript 0.1.0" in terminal.wait_for('"nonsense" is an unknown command.')
    assert terminal.wait_end() == 0


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


def test_help_stands_below_what_one_types(terminal: Terminal) -> None:
    terminal.wait_for("Tab completes")
    terminal.type("star")
    terminal.type("t ")
    terminal.wait_for("start|s [-a] <app> [args]")
    terminal.type("\x15on all ping ")
    terminal.wait_for("ping <id>")
    terminal.type("\x15exit\r")
    assert terminal.wait_end() == 0


def test_shells_share_one_state(daemon: Daemon, terminal: Terminal, tmp_path: Path) -> None:
    terminal.wait_for("viscript>")
    with on_terminal(make_environment(daemon, tmp_path / "home"), "-m", "viscript") as second:
        second.wait_for("viscript>")
        second.type("start deaf\r")
        second.wait_for("(ID: 2,")
        terminal.type("la\r")
        terminal.wait_for(f"[ 2 ] -> [ {daemon.directory}/bin/deaf ]")
