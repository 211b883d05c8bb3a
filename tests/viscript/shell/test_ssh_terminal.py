"""The restricted login on a terminal: everything works that draws or talks, and no key leads out."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.viscript.daemon import ROOT, Daemon
from tests.viscript.shell.terminal import Terminal, on_terminal

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root for a file system view of its own"
)
WAY_IN = """
import os, sys
state, *program = sys.argv[1:]
script = 'mount -t tmpfs none /run && mkdir /run/viscript && mount --bind "$0" /run/viscript && exec "$@"'
os.execvp("unshare", ["unshare", "--mount", "sh", "-c", script, state, *program])
"""
"""The login's socket has a fixed place; here another directory is shown there."""


@contextmanager
def login(daemon: Daemon, line: str | None = None) -> Iterator[Terminal]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "xterm", "PAGER": "sh", "EDITOR": "sh"}
    if line is not None:
        environment["SSH_ORIGINAL_COMMAND"] = line
    program = (sys.executable, "-m", "viscript.shell.ssh")
    with on_terminal(environment, "-c", WAY_IN, str(daemon.directory / "state"), *program) as terminal:
        yield terminal


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_one_attaches_and_detaches(daemon: Daemon) -> None:
    daemon.say("start", "parrot")
    with login(daemon, "attach 2") as terminal:
        terminal.wait_for("ready")
        terminal.type("!sh\r")
        terminal.wait_for("!sh\r\n!sh\r\n")
        terminal.type("\x1a")
        terminal.wait_for("Detached from id 2")
        assert terminal.wait_end() == 0


def test_a_table_is_watched_and_left(daemon: Daemon) -> None:
    daemon.say("start", "deaf")
    with login(daemon) as terminal:
        terminal.wait_for("viscript>")
        terminal.type("top\r")
        terminal.wait_for("deaf")
        terminal.type("!v\x1a")
        terminal.wait_for("viscript>")
        assert not stopped(terminal.pid)
        terminal.type("exit\r")
        assert terminal.wait_end() == 0


def test_a_log_is_followed_and_cannot_be_suspended(daemon: Daemon) -> None:
    daemon.say("start", "parrot")
    with login(daemon, "logs 2 -f") as terminal:
        terminal.wait_for("ready")
        terminal.type("\x1a")
        daemon.say("shutdown", "2")
        terminal.wait_for("(parrot has ended: ")
        assert terminal.wait_end() == 0


def test_a_daemon_that_is_away_is_no_reason_to_start_one(daemon: Daemon) -> None:
    daemon.stop()
    with login(daemon) as terminal:
        shown = terminal.wait_for("viscript>")
        assert "the board starts it again by itself" in shown
        assert "[y/N]" not in shown
    daemon.start()
