"""The door to systemd: three commands with deadlines. `systemctl` and `systemd-run` speak to PID 1's
private socket.
"""

from __future__ import annotations

import subprocess

from viscript.errors import StartError, UnsureStartError
from viscript.launcher.model import Signal
from viscript.launcher.starter.argv import UNIT_GLOB, parse_unit_name
from viscript.launcher.starter.model import Unit

RUN_DEADLINE_S = 40.0
ASK_DEADLINE_S = 10.0
_ALIVE = frozenset({"active", "activating", "deactivating", "reloading"})


def run_unit(argv: list[str]) -> None:
    """Returns once the program is executing. Raises StartError with systemd's own words, UnsureStartError if
    systemd may yet start it.
    """
    _run(argv, RUN_DEADLINE_S)


def signal_unit(unit: str, signal: Signal) -> None:
    """Signal every process of the unit."""
    _run(["systemctl", "kill", "--kill-whom=all", f"--signal=SIG{signal.value}", unit], ASK_DEADLINE_S)


def stop_unit(unit: str) -> None:
    """Also takes back a start that systemd has not come to yet; does not wait."""
    _run(["systemctl", "stop", "--no-block", unit], ASK_DEADLINE_S)


def list_units() -> tuple[Unit, ...]:
    """The units of ours that systemd has in memory and that are not over, or are still to be started."""
    argv = ["systemctl", "show", "--property=Id,MainPID,ActiveState,Job", "--", UNIT_GLOB]
    blocks = _run(argv, ASK_DEADLINE_S).strip().split("\n\n")
    units = (_read_unit(block) for block in blocks if block.strip())
    return tuple(sorted((unit for unit in units if unit is not None and unit.active), key=lambda u: u.id))


def _read_unit(block: str) -> Unit | None:
    values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    named = parse_unit_name(values.get("Id", ""))
    if named is None:
        return None
    active = values.get("ActiveState", "") in _ALIVE or values.get("Job", "0") not in {"", "0"}
    return Unit(named[1], named[0], int(values.get("MainPID", "0")), values["Id"], active)


def _run(argv: list[str], deadline_s: float) -> str:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=deadline_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnsureStartError(f"{argv[0]} did not finish within {deadline_s:g} s") from None
    except (OSError, ValueError) as error:
        raise StartError(f"{argv[0]} cannot be run: {error}") from error
    if done.returncode != 0:
        words = " ".join((done.stderr or done.stdout).split())
        raise StartError(f"{argv[0]} failed ({done.returncode}): {words[:400]}")
    return done.stdout
