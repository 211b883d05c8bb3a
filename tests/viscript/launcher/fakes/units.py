"""The units that the stand-ins of systemd-run and systemctl keep: one file each in FAKE_SYSTEMD.

As in systemd, what ended well remains as `exited`, what ended badly as `failed` once all of it is gone, and a
unit that was stopped is unloaded. INVOCATION_ID stands in for the control group: a double fork does not shed it.
"""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

UNITS = Path(os.environ["FAKE_SYSTEMD"])
Unit = dict[str, Any]
CLEAN = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE}


def read(name: str) -> Unit | None:
    """None when there is no such unit. A unit that is empty or has no pid is a job in the queue."""
    try:
        unit: Unit = json.loads((UNITS / name).read_text() or "{}")
    except FileNotFoundError:
        return None
    return unit


def write(name: str, unit: Unit) -> None:
    draft = UNITS.parent / f".{name}.{os.getpid()}"
    draft.write_text(json.dumps(unit))
    draft.replace(UNITS / name)


def members(unit: Unit) -> list[int]:
    """All processes of the unit that are no zombies."""
    mark, found = f"INVOCATION_ID={unit['invocation']}".encode(), []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):  # a zombie has none
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def send(unit: Unit, number: int) -> None:
    for pid in members(unit):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def note_exit(name: str, status: int) -> None:
    """The main process has ended: systemd then stops the rest, unless the end was a good one."""
    unit = read(name) or {}
    code, value = (2, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (1, os.WEXITSTATUS(status))
    good = value in CLEAN if code == 2 else value == 0
    stopping = unit["state"] == "deactivating"
    unit |= {"code": code, "status": value, "then": "inactive" if good else "failed"}
    write(name, unit | {"state": "exited"} if good and not stopping else stopped(unit))


def stopped(unit: Unit) -> Unit:
    send(unit, signal.SIGTERM)
    return unit | {"state": "deactivating", "kill_at": time.monotonic() + unit["stop_s"]}


def loaded() -> dict[str, Unit]:
    """Every unit as it is now, after what was due has happened."""
    return {file.name: unit for file in UNITS.iterdir() if (unit := step(file.name)) is not None}


def step(name: str) -> Unit | None:
    unit = read(name)
    if not unit or unit.get("state") != "deactivating":
        return unit
    if members(unit) or "code" not in unit:
        if time.monotonic() > unit["kill_at"]:
            send(unit, signal.SIGKILL)
        return unit
    if unit["then"] == "failed":
        write(name, unit | {"state": "failed"})
        return read(name)
    (UNITS / name).unlink()
    return None
