"""Sitting at an application on a real terminal: what it writes, what it is told, and how one leaves it running."""

from __future__ import annotations

import os
import signal
import termios
from pathlib import Path

import pytest

from tests.viscript.daemon import Daemon
from tests.viscript.launcher.backends import wait_until
from tests.viscript.shell.terminal import Terminal, make_environment, on_terminal
from viscript.api.model import ListNodes, ListRunning, Nodes, RunningApps

EDITED_LINES = termios.ICANON | termios.ECHO | termios.ISIG


def running(daemon: Daemon) -> list[str]:
    with daemon.api() as api:
        return [app.app for app in api.call(ListRunning(), RunningApps).apps]


def talk_with_parrot(terminal: Terminal) -> str:
    """What was shown before it spoke."""
    shown = terminal.wait_for("ready")
    terminal.type("Marco\r")
    terminal.wait_for("Marco\r\nMarco\r\n")
    return shown


@pytest.mark.parametrize("key", ["\x1a", "\x03", "\x04"])
def test_a_key_detaches_and_the_app_goes_on(daemon: Daemon, tmp_path: Path, key: str) -> None:
    daemon.say("start", "parrot", "-u")
    with on_terminal(make_environment(daemon, tmp_path / "home"), "-m", "viscript", "attach", "2") as terminal:
        assert f"{daemon.directory}/bin/parrot -u\r\n(Ctrl+Z detaches)" in talk_with_parrot(terminal)
        before = terminal.local_modes()
        terminal.type(key)
        terminal.wait_for("Detached from id 2")
        wait_until(lambda: terminal.local_modes() & EDITED_LINES == EDITED_LINES)
        assert before & termios.ISIG == 0
        assert terminal.wait_end() == 0
    assert running(daemon) == ["parrot"]
    assert daemon.say("logs", "2") == "ready\nMarco\n"


def test_in_the_interactive_shell_one_comes_back_to_its_prompt(daemon: Daemon, tmp_path: Path) -> None:
    with on_terminal(make_environment(daemon, tmp_path / "home"), "-m", "viscript") as terminal:
        terminal.wait_for("viscript>")
        terminal.type("start -a parrot\r")
        assert "Added external app (ID: 2," in talk_with_parrot(terminal)
        terminal.type("half a line\x1a")
        assert "Detached from id 2" in terminal.wait_for("viscript>")
        terminal.type("version\r")
        terminal.wait_for("viscript 0.")
    assert daemon.say("logs", "2") == "ready\nMarco\n"


def test_the_end_of_the_app_ends_it(daemon: Daemon, tmp_path: Path) -> None:
    daemon.say("start", "parrot")
    with on_terminal(make_environment(daemon, tmp_path / "home"), "-m", "viscript", "attach", "2") as terminal:
        terminal.wait_for("ready")
        daemon.say("shutdown", "2")
        terminal.wait_for("(parrot has ended: signal 15 (SIGTERM))")
        assert terminal.wait_end() == 0


def test_a_killed_shell_leaves_the_terminal_as_it_was(daemon: Daemon, tmp_path: Path) -> None:
    daemon.say("start", "parrot")
    with on_terminal(make_environment(daemon, tmp_path / "home"), "-m", "viscript", "attach", "2") as terminal:
        terminal.wait_for("ready")
        assert terminal.local_modes() & termios.ISIG == 0
        os.kill(terminal.pid, signal.SIGTERM)
        wait_until(lambda: terminal.local_modes() & EDITED_LINES == EDITED_LINES)
        assert terminal.wait_end() == 128 + signal.SIGTERM


def test_a_daemon_that_goes_away_ends_it_too(daemon: Daemon, tmp_path: Path) -> None:
    daemon.say("start", "parrot")
    with on_terminal(make_environment(daemon, tmp_path / "home"), "-m", "viscript", "attach", "2") as terminal:
        terminal.wait_for("ready")
        daemon.stop(signal.SIGKILL)
        terminal.wait_for("state/api.sock'")  # gone, or already nobody there
        wait_until(lambda: terminal.local_modes() & EDITED_LINES == EDITED_LINES)
        assert terminal.wait_end() == 1
    daemon.start()
    assert running(daemon) == ["parrot"]


def test_an_app_of_another_board_is_attached_alike(daemon: Daemon, tmp_path: Path) -> None:
    """The board is this one under its name: the way is the same."""
    daemon.say("start", "parrot")
    with daemon.api() as api:
        (node,) = api.call(ListNodes(), Nodes).nodes
    words = ("-m", "viscript", "attach", f"{node.name}/2")
    with on_terminal(make_environment(daemon, tmp_path / "home"), *words) as terminal:
        talk_with_parrot(terminal)
        terminal.type("\x1a")
        assert terminal.wait_end() == 0


def test_a_daemon_is_never_attached(daemon: Daemon, tmp_path: Path) -> None:
    words = ("-m", "viscript", "start", "-a", "deaf")
    with on_terminal(make_environment(daemon, tmp_path / "home"), *words) as terminal:
        terminal.wait_for("(it is a daemon, and was not attached)")
        assert terminal.wait_end() == 0
    with on_terminal(make_environment(daemon, tmp_path / "home"), "-m", "viscript", "attach", "2") as terminal:
        terminal.wait_for("'deaf' is a daemon and is not attached")
        assert terminal.wait_end() == 1


def test_logs_are_followed_until_one_leaves_or_it_ends(daemon: Daemon, tmp_path: Path) -> None:
    daemon.say("start", "parrot")
    words = ("-m", "viscript", "logs", "2", "-f")
    with on_terminal(make_environment(daemon, tmp_path / "home"), *words) as terminal:
        terminal.wait_for("ready")
        with on_terminal(make_environment(daemon, tmp_path / "home"), "-m", "viscript", "attach", "2") as other:
            talk_with_parrot(other)
        terminal.wait_for("Marco")
        terminal.type("\x03")
        terminal.wait_for("^C\r\n")
        assert terminal.wait_end() == 0
    with on_terminal(make_environment(daemon, tmp_path / "home"), *words) as terminal:
        terminal.wait_for("Marco")
        daemon.say("shutdown", "2")
        terminal.wait_for("(parrot has ended: signal 15 (SIGTERM))")
        assert terminal.wait_end() == 0
