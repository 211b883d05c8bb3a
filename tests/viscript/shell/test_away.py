"""A shell whose daemon is away: it offers to start one, and says why when that fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viscript.daemon import ROOT
from tests.viscript.launcher.backends import wait_until
from tests.viscript.shell.terminal import on_terminal
from viscript.api.client import ApiClient
from viscript.api.model import AskStatus, Status
from viscript.errors import ViscriptError

NEEDS_NETWORK = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2 for a network of its own"
)
OWN_NETWORK = (
    "import os; os.execvp('unshare', ['unshare', '-n', 'sh', '-c', 'ip link set lo up; exec \"$@\"', 'sh', "
    f"'{sys.executable}', '-m', 'viscript'])"
)
"""The daemon's usual port may be taken on this machine."""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    yield kept | {
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm",
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "kept"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    with ApiClient(tmp_path / "viscript" / "api.sock", 20) as api:
        try:
            pid = api.call(AskStatus(), Status).pid
        except ViscriptError:
            return
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not (tmp_path / "viscript" / "api.sock").exists())


@NEEDS_NETWORK
def test_a_person_who_agrees_gets_a_daemon_that_stays(environment: dict[str, str], tmp_path: Path) -> None:
    with on_terminal(environment, "-c", OWN_NETWORK) as terminal:
        assert "viscript is not running" in terminal.wait_for("Start it now? [y/N]")
        terminal.type("y\r")
        terminal.wait_for("Type 'help' for the commands.")
        terminal.wait_for("viscript>")
        terminal.type("exit\r")
        assert terminal.wait_end() == 0
    with ApiClient(tmp_path / "viscript" / "api.sock", 20) as api:
        assert api.call(AskStatus(), Status).uptime_s >= 0


def test_who_declines_has_a_shell_all_the_same(environment: dict[str, str], tmp_path: Path) -> None:
    with on_terminal(environment, "-m", "viscript") as terminal:
        terminal.wait_for("Start it now? [y/N]")
        terminal.type("\r")
        terminal.wait_for("viscript>")
        terminal.type("version\r")
        terminal.wait_for("viscript 0.")
        terminal.type("apps\r")
        terminal.wait_for("viscript is not running")
    assert not (tmp_path / "viscript").exists()


def test_why_it_could_not_be_started_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "viscript").write_text("in the way")
    with on_terminal(environment | {"VISCRIPT_SOCKET": str(tmp_path / "api.sock")}, "-m", "viscript") as terminal:
        terminal.wait_for("Start it now? [y/N]")
        terminal.type("y\r")
        assert "viscript has ended at once" in terminal.wait_for("cannot use the state directory")


def test_one_command_asks_nothing(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "viscript", "apps"],
        env=environment,
        input="y\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "(start it with: viscript headless)" in done.stderr
