"""The restricted login: one line of viscript, whatever the caller asks or sets, and no way to anything
else.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.viscript.daemon import ROOT


def login(directory: Path, line: str | None, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    asked = {} if line is None else {"SSH_ORIGINAL_COMMAND": line}
    return subprocess.run(
        [sys.executable, "-m", "viscript.shell.ssh"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **asked, **environment},
        cwd=directory,
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "line",
    [
        "sh -c id",
        "/bin/sh",
        "headless",
        "viscript headless",
        "scp -t /tmp/x",
        "/usr/lib/openssh/sftp-server",
        "rsync --server . x",
        "version; id",
        "version && id",
        "$(id)",
        "`id`",
        "!id",
        "--socket /tmp/x apps",
        "python3 -c 1",
        "on all sh",
        "attach 2",
    ],
)
def test_nothing_but_viscripts_commands_runs(tmp_path: Path, line: str) -> None:
    done = login(tmp_path, line)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "uid=" not in done.stderr


def test_one_line_is_run_and_its_code_returned(tmp_path: Path) -> None:
    assert login(tmp_path, "version").stdout.startswith("viscript ")
    assert login(tmp_path, "version").returncode == 0
    assert login(tmp_path, "ping x").returncode == 2
    assert login(tmp_path, "exit").returncode == 0
    assert login(tmp_path, "version\nversion").returncode == 2


def test_bytes_that_are_no_text_are_a_mistake_and_no_traceback(tmp_path: Path) -> None:
    assert "not UTF-8" in login(tmp_path, "start \udcff").stderr
    assert login(tmp_path, "start \udcff", LANG="C.UTF-8").returncode == 2
    assert "more than 65536 characters" in login(tmp_path, None, "x" * 70_000).stderr


def test_programs_get_json_here_too(tmp_path: Path) -> None:
    assert json.loads(login(tmp_path, "version --json").stdout)["version"]
    failed = login(tmp_path, "ping x --json")
    assert (failed.returncode, json.loads(failed.stdout)["error"]["code"]) == (2, "usage")


def test_nothing_that_starts_a_daemon_is_loaded(tmp_path: Path) -> None:
    program = (
        "import sys, viscript.shell.ssh, viscript.shell.interactive, viscript.shell.stream, viscript.shell.tables\n"
        "print([name for name in sys.modules if name in {'viscript.shell.away', 'viscript.__main__'}])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_lines_may_come_by_the_input(tmp_path: Path) -> None:
    done = login(tmp_path, None, "version\nexit\nversion\n")
    assert done.stdout.count("viscript") == 1


def test_the_callers_environment_chooses_nothing(tmp_path: Path) -> None:
    done = login(
        tmp_path,
        "apps",
        VISCRIPT_SOCKET=str(tmp_path / "mine.sock"),
        PAGER="sh",
        EDITOR="sh",
        PYTHONINSPECT="1",
        XDG_RUNTIME_DIR=str(tmp_path),
        HOME=str(tmp_path),
    )
    assert "mine.sock" not in done.stderr
    assert list(tmp_path.iterdir()) == []
