"""A person's own applications on the board: configured over SSH, restarted, attached to, and what they leave behind."""

import re
import subprocess

from image.emulator.board import Board
from tests.boot.rows import Table, wait_for
from tests.boot.transcript import app_pid

CONFIG = """
apps:
  apptracker: {daemon: true, path: bin/apptracker, default_args: ["127.0.0.1:20000"]}
  steady: {daemon: true, path: bin/apptracker, default_args: ["127.0.0.1:20001"], restart: always}
  brief: {daemon: true, path: /bin/sh, default_args: [-c, "echo last words; exit 3"]}
  echo: {path: /bin/cat}
"""
ATTACHED_S = 120
CTRL_Z = "\x1a"


def app_rows(board: Board, table: Table) -> None:
    """Writes a configuration as admin, and lets viscript read it."""
    board.send(CONFIG.encode(), "sudo tee /etc/skywire/config.yaml >/dev/null", user="admin")
    said = board.ssh("reload").stdout.strip()
    table.add("reload makes new applications appear", said, "steady" in said and "brief" in board.ssh("apps").stdout)
    table.check("a crashed application is back under its id", lambda: _crash(board))
    table.check("an application's exit code and last words are kept", lambda: _exit(board))
    table.check("attach talks to a program over SSH, and Ctrl+Z leaves it running", lambda: _attach(board))


def _start(board: Board, name: str) -> int:
    found = re.search(r"ID: (\d+)", board.ssh(f"start {name}").stdout)
    assert found, f"no id for {name}"
    return int(found[1])


def _crash(board: Board) -> tuple[str, bool]:
    app = _start(board, "steady")
    board.ssh(f"ping {app}")
    before = app_pid(board, app)
    board.ssh(f"sudo kill -9 {before}", user="admin")
    after = wait_for(lambda: pid if (pid := app_pid(board, app)) not in {0, before} else None, 60) or 0
    pinged = board.ssh(f"ping {app}", check=False).stdout.strip()
    board.ssh(f"sd {app}")
    return f"id {app}: process {before}, killed, then {after}; {pinged}", bool(after) and "ping time" in pinged


def _exit(board: Board) -> tuple[str, bool]:
    app = _start(board, "brief")
    said = wait_for(lambda: out if "exit" in (out := _logs(board, app)) else None, 60) or _logs(board, app)
    return said, "last words" in said and "exit 3" in said


def _logs(board: Board, app: int) -> str:
    done = board.ssh(f"logs {app}", check=False)
    return done.stdout + done.stderr


def _attach(board: Board) -> tuple[str, bool]:
    """ssh itself gets a terminal that script(1)-like `-tt` makes on the board; what is typed goes down a pipe."""
    app = _start(board, "echo")
    words = [*board.ssh_words("viscript"), "-tt", f"attach {app}"]
    shell = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert shell.stdin is not None
    shell.stdin.write(b"hello board\n")
    shell.stdin.flush()
    echoed = wait_for(lambda: "hello board" in board.ssh(f"logs {app}").stdout, 60) is not None
    shell.stdin.write(CTRL_Z.encode())
    shell.stdin.flush()
    try:
        code: int | str = shell.wait(ATTACHED_S)
    except subprocess.TimeoutExpired:
        code = "did not leave"
        shell.kill()
        shell.wait()
    shell.stdin.close()
    running = app_pid(board, app)
    board.ssh(f"sd {app}")
    return f"echoed: {echoed}; the shell's exit code: {code}; process {running} runs on", echoed and code == 0 and bool(
        running
    )
