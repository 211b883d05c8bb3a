"""What is killed comes back, and what it started does not notice: process ids compared before and after."""

import time
from functools import partial

from image.emulator.board import Board
from tests.boot.lights import codes, name_pattern
from tests.boot.rows import Table, wait_for
from tests.boot.transcript import app_pid

AIM_S = 5.0
FAILURE_S = 60.0
KILL_AND_WAIT = """
cut -d' ' -f1 /proc/uptime; sudo kill -9 {pid}; n=0
while [ $n -lt 600 ]; do
  new=$(systemctl show -P MainPID {unit})
  [ "$new" != {pid} ] && [ "$new" != 0 ] && systemctl is-active -q {unit} && break
  sleep 0.1; n=$((n + 1))
done
cut -d' ' -f1 /proc/uptime
"""


def main_pid(board: Board, unit: str) -> int:
    return int(board.ssh(f"systemctl show -P MainPID {unit}", user="admin").stdout or 0)


def kill_rows(board: Board, table: Table, app: int) -> None:
    """kill -9 of viscript, then of the supervisor; the application keeps its process and its id."""
    for unit, answers in (("viscript.service", f"ping {app}"), ("skywire-board.service", "")):
        look = partial(_kill, board, table, app, unit, answers)
        table.check(f"{unit} killed with -9: back, applications untouched", look)


def _kill(board: Board, table: Table, app: int, unit: str, answers: str) -> tuple[str, bool]:
    """The board itself waits for the return, so that the login's own seconds do not count."""
    before, application = main_pid(board, unit), app_pid(board, app)
    said = board.ssh(KILL_AND_WAIT.format(pid=before, unit=unit), user="admin").stdout
    start, end = (float(word) for word in said.split())
    after = main_pid(board, unit)
    answered = not answers or bool(wait_for(lambda: "ping time" in board.ssh(answers, check=False).stdout, FAILURE_S))
    same = application == app_pid(board, app) != 0
    seen = f"ready again after {end - start:.1f} s of the board's clock"
    table.add(f"{unit} is back within {AIM_S:.0f} s", seen, end - start <= AIM_S, aim=True)
    seen = f"process {before} -> {after}; application {app} still {application}: {same}; its ping answers: {answered}"
    return seen, 0 != after != before and same and answered and end - start <= FAILURE_S


def wait_named(board: Board, names: tuple[str, ...], deadline_s: float) -> str:
    """The pattern of `names` that the status light came to show, and when; empty when it never did."""
    begin = time.monotonic()
    while time.monotonic() - begin < deadline_s:
        seen = name_pattern([(at, status) for at, status, _ in board.watch_lights(10)])
        if seen in names:
            return f"{seen}, after {time.monotonic() - begin:.0f} s"
    return ""


def wait_code(board: Board, flashes: int, deadline_s: float) -> list[int]:
    """What was counted once it was that number, twice in a row; else what was counted last."""
    begin, found = time.monotonic(), []
    while time.monotonic() - begin < deadline_s:
        found = codes([(at, status) for at, status, _ in board.watch_lights(13)])
        if len(found) >= 2 and set(found) == {flashes}:
            break
    return found
