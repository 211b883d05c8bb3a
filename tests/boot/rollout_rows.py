"""`update --all` on one emulated board, which is its own manager: the bundle goes over SSH into its object store, RAUC
streams it from there through the mesh's own address, the board restarts, and its manager, started anew, says that the
roll-out is done. Leaves the board restarted, in the other slot.
"""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from image.emulator.board import Board
from image.errors import EmulatorError
from tests.boot.rows import Table

STORE_DEADLINE_S, ROLL_DEADLINE_S = 900, 2400
JOINED_DEADLINE_S = 600
INSTALLED = {"restarting", "on trial", "done", "failed"}
MEMORY = (
    "for unit in $(systemctl list-units --plain --no-legend 'skywire-app-manager-*' | cut -d' ' -f1); do "
    "systemctl show -P MemoryPeak -P MemoryCurrent -P CPUUsageNSec $unit; done"
)


def rollout_rows(board: Board, table: Table, bundle: Path, version: str) -> None:
    """`bundle` is of that version, which the board does not run yet."""
    known = _wait(board, lambda update: any(row["version"] for row in update["boards"]), JOINED_DEADLINE_S)
    before = known["boards"][0]["version"] if known.get("boards") else "nothing"
    table.add("the manager knows what its board runs", before, before not in {"", "nothing", version})
    begin = time.monotonic()
    board.send(bundle.read_bytes(), "update --all -", user="viscript", deadline_s=STORE_DEADLINE_S)
    stored_s, size = time.monotonic() - begin, bundle.stat().st_size / 1e6
    began = _wait(board, lambda update: update["course"] != "", 60)
    seen = f"{size:.0f} MB stored in {stored_s:.0f} s; {_stages(began)}"
    table.add("update --all -: the bundle goes into the object store", seen, began["course"] == "running")
    installed = _wait(board, lambda update: update["boards"][0]["stage"] in INSTALLED, ROLL_DEADLINE_S)
    ok = bool(installed["boards"]) and installed["boards"][0]["stage"] in INSTALLED - {"failed"}
    table.add("RAUC streams it from the manager, and the board restarts", _stages(installed), ok)
    done = _wait(board, lambda update: update["course"] in {"done", "stopped"}, ROLL_DEADLINE_S)
    took_s = time.monotonic() - begin
    row = done["boards"][0]
    ok = done["course"] == "done" and row["version"] == version and row["stage"] == "done"
    table.add("the manager, restarted with its board, says that it is done", f"{_stages(done)}, {took_s:.0f} s", ok)


def memory(board: Board) -> str:
    """Of the manager with its NATS: peak and present bytes, nanoseconds of CPU."""
    return board.ssh(MEMORY, user="admin", check=False).stdout


def _wait(board: Board, ready: Any, deadline_s: float) -> dict[str, Any]:
    """The roll-out as the shell tells it, once it is as wanted; what was told last when the deadline passes."""
    end, update = time.monotonic() + deadline_s, dict[str, Any](course="", boards=[])
    while time.monotonic() < end:
        told = _told(board)
        if "boards" in told:
            update = told
            if update["boards"] and ready(update):
                break
        time.sleep(2)
    return update


def _told(board: Board) -> dict[str, Any]:
    """Nothing while the board restarts, which ends no connection."""
    with contextlib.suppress(EmulatorError):
        said = board.ssh("update --all status --json", check=False, deadline_s=60).stdout
        if said.startswith("{"):
            told: dict[str, Any] = json.loads(said)
            return told
    return {}


def _stages(update: dict[str, Any]) -> str:
    boards = ", ".join(f"{row['version']} {row['stage']} {row['why']}".strip() for row in update["boards"])
    return f"{update['course']}: {boards}; {update.get('why', '')}".strip("; ")
