"""`tests/lab skyminer`, as a person and as a program use it: eight boards, each with its own viscript."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.laboratory.conftest import MakeLab
from tests.laboratory.sweep import namespaces
from tests.laboratory.topology import known

ROOT = Path(__file__).parents[2]
BOARDS = [f"pi-{number}" for number in range(1, 9)]
DEADLINE_S = 90.0
TTY = ["setsid", "--ctty"]
"""So that Ctrl+C becomes a signal: the terminal must be the session's own."""
LAB = [sys.executable, "-m", "tests.laboratory"]


def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*LAB, *words], cwd=ROOT, input=given, capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    assert "Traceback" not in done.stderr
    return done


def test_a_route_in_one_command(needs_machine: None) -> None:
    """Over another board, since two hops are asked for; it is laid when the command ends, and the ping goes over it."""
    words = "node connect pi-5 viscript --policy hops_at_least=2 && ping -c3 -W5 pi-5.mesh && node sessions --json"
    done = run("skyminer", "--json", "--", "sh", "-c", words)
    assert done.returncode == 0, done.stderr
    lab, *_, sessions = done.stdout.splitlines()
    ids = {node["name"]: node["id"] for node in json.loads(lab)["nodes"]}
    (session,) = [found for found in json.loads(sessions)["sessions"] if found["node_id"] == ids["pi-5"]]
    (active,) = [path for path in session["paths"] if path["is_active"]]
    assert len(active["nodes"]) >= 3
    assert "0% packet loss" in done.stdout
    assert not {node["namespace"] for node in json.loads(lab)["nodes"]} & set(namespaces())


def test_a_script_for_the_shell(needs_machine: None) -> None:
    """The first board's viscript commands the others over the mesh, and its own runs node and manager."""
    done = run("skyminer", given="nodes\non pi-8 start apptracker\non pi-8 la\nla\n")
    assert done.returncode == 0, done.stderr
    assert "viscript on pi-1; its end takes everything down" in done.stderr
    for number, board in enumerate(BOARDS, 1):
        assert re.search(rf"^{board} +192\.168\.1\.{number} +fd53:", done.stdout, re.MULTILINE)
        assert re.search(rf"^{board} .*fd53.* well$", done.stdout, re.MULTILINE)
    here = [line.rpartition("/")[2] for line in done.stdout.splitlines()[-2:]]
    assert here == ["node ]", "manager ]"]
    assert re.search(r"^\[ \d+ \] -> \[ .*/apptracker \]$", done.stdout, re.MULTILINE)
    assert "to try:" in done.stdout


@contextlib.contextmanager
def terminal(*words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm"}
    try:
        with subprocess.Popen(
            [*TTY, *LAB, *words], cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        ) as started:
            os.close(theirs)
            try:
                yield started, ours
            finally:
                started.terminate()
    finally:
        os.close(ours)


def read_until(terminal_end: int, wanted: str) -> str:
    seen, deadline = b"", time.monotonic() + DEADLINE_S
    while wanted.encode() not in seen:
        ready, _, _ = select.select([terminal_end], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no '{wanted}' in {seen!r}"
        seen += os.read(terminal_end, 65_536)
    return seen.decode()


def test_a_shell_for_a_person(needs_machine: None) -> None:
    with terminal("skyminer") as (started, end):
        read_until(end, "viscript>")
        os.write(end, b"on pi-5 apps\r")
        read_until(end, "Directory of applications")
        os.write(end, b"start -a mesh connect pi-5 viscript --policy hops_at_least=2\r")
        read_until(end, "]:7998")
        read_until(end, "viscript>")
        os.write(end, b"start -a sh -c 'ping -c1 -W5 pi-5.mesh'\r")
        read_until(end, "1 received, 0% packet loss")
        read_until(end, "viscript>")
        os.write(end, b"exit\r")
        with contextlib.suppress(OSError):  # the terminal's other side is closed
            while os.read(end, 65_536):
                pass
        assert started.wait(DEADLINE_S) == 0


def test_control_c_while_it_comes_up(needs_machine: None) -> None:
    with terminal("skyminer") as (started, end):
        read_until(end, "network: 8 hosts")
        os.write(end, b"\x03")
        read_until(end, "interrupted; everything is taken down")
        assert started.wait(DEADLINE_S) == 130
        assert not [name for name in namespaces() if name.split("-")[1] == str(started.pid)]


def test_a_board_dies_and_comes_back(make_lab: MakeLab) -> None:
    lab = make_lab(known()["skyminer"].read_text())
    first, dying = lab.hosts[0], lab.host("pi-4")
    ask = ["viscript", "--json", "on", "pi-4", "status"]
    before = json.loads(first.run(ask).stdout)["pi-4"]["pid"]
    dying.power_off()
    assert first.run(ask, check=False).returncode == 1
    dying.power_on()
    lab.wait_until(lambda: first.run(ask, check=False).returncode == 0, "pi-4 answers again", 60)
    assert json.loads(first.run(ask).stdout)["pi-4"]["pid"] != before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "name a topology"),
        (("nowhere",), "no topology 'nowhere'"),
        (("--fast",), "No such option"),
        (("line", "--keep", "/"), "exists already"),
    ],
)
def test_what_is_asked_wrongly(words: tuple[str, ...], told: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert told in done.stderr


def test_the_list() -> None:
    done = run("--list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(known())


def test_an_exit_code_goes_through_and_files_are_kept(tmp_path: Path, needs_machine: None) -> None:
    done = run("line", "--keep", str(tmp_path / "kept"), "--", "sh", "-c", "touch mark; exit 7")
    assert done.returncode == 7
    assert (tmp_path / "kept/n-1/mark").exists()


def test_with_keep_going_a_dud_is_noted(tmp_path: Path, needs_machine: None) -> None:
    file = tmp_path / "dud.yaml"
    file.write_text("hosts: [a, b]\nprograms: {dud: {hosts: [a], argv: ['false'], ready: end}}")
    done = run(str(file), "--keep-going", "--json", "--", "true")
    assert done.returncode == 0
    assert "'dud' ended with exit code 1" in json.loads(done.stdout)["notes"][0]


def test_it_needs_root() -> None:
    if os.geteuid() != 0:
        done = run("line")
    else:
        drop = "import os; from tests.laboratory.__main__ import run; os.setuid(65534); run()"
        done = subprocess.run(
            [sys.executable, "-c", drop, "line"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 1
    assert "only root may (run: sudo tests/lab" in done.stderr
