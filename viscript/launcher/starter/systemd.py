"""The door to systemd: four commands with deadlines. `systemctl` and `systemd-run` speak to PID 1's
private socket.
"""

from __future__ import annotations

import subprocess

from viscript.errors import StartError, UnsureStartError
from viscript.launcher.model import Signal
from viscript.launcher.starter.argv import UNIT_GLOB, parse_unit_name
from viscript.launcher.starter.model import State, Unit

RUN_DEADLINE_S = 40.0
ASK_DEADLINE_S = 20.0
_PROPERTIES = ("Id", "MainPID", "ExecMainPID", "ActiveState", "SubState", "Job", "ExecMainCode", "ExecMainStatus")


def run_unit(argv: list[str]) -> None:
    """Returns once the program is executing. Raises StartError with systemd's own words, UnsureStartError if
    systemd may yet start it.
    """
    _run(argv, RUN_DEADLINE_S)


def signal_unit(unit: str, signal: Signal) -> None:
    """Signal every process of the unit."""
    _run(["systemctl", "kill", "--kill-whom=all", f"--signal=SIG{signal.value}", unit], ASK_DEADLINE_S)


def stop_unit(unit: str) -> None:
    """Also takes back a start that systemd has not come to yet, or ends what is left of a unit; does not wait."""
    _run(["systemctl", "stop", "--no-block", unit], ASK_DEADLINE_S)


def forget_failed(unit: str) -> None:
    """Unload a unit that ended badly; one that ended well is unloaded by `stop_unit`."""
    _run(["systemctl", "reset-failed", unit], ASK_DEADLINE_S)


def list_units() -> tuple[Unit, ...]:
    """The units of ours that systemd has in memory, those that are over but not collected included."""
    argv = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", UNIT_GLOB]
    blocks = _run(argv, ASK_DEADLINE_S).strip().split("\n\n")
    units = (_read_unit(block) for block in blocks if block.strip())
    return tuple(sorted((unit for unit in units if unit is not None), key=lambda unit: unit.id))


def _read_unit(block: str) -> Unit | None:
    values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    named, state = parse_unit_name(values.get("Id", "")), _read_state(values)
    if named is None or state is None:
        return None
    pid = int(values.get("MainPID", "0")) or int(values.get("ExecMainPID", "0"))
    return Unit(named[1], named[0], pid, values["Id"], state, _read_code(values))


def _read_state(values: dict[str, str]) -> State | None:
    """None for a unit that systemd is about to unload."""
    match values.get("ActiveState", ""), values.get("SubState", ""):
        case ["active", "exited"] | ["failed", _]:
            return State.ENDED if values.get("Job", "0") in {"", "0"} else State.STOPPING
        case ["active" | "activating" | "reloading", _]:
            return State.RUNNING
        case ["deactivating", _]:
            return State.STOPPING
        case _:
            return State.WAITING if values.get("Job", "0") not in {"", "0"} else None


def _read_code(values: dict[str, str]) -> int | None:
    status = int(values.get("ExecMainStatus") or "0")
    match values.get("ExecMainCode"):
        case "1":  # CLD_EXITED
            return status
        case "2" | "3":  # CLD_KILLED, CLD_DUMPED
            return -status
        case _:
            return None


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
