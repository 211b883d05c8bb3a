"""The hardware watchdog, on a board made with `watchdog=True`, and the ceiling of a service's memory. The board is up
when these begin and when they end; in between the watchdog resets it once.
"""

import re
import time
from pathlib import Path

from image.emulator.board import Board, answers_ssh
from skywire_board.outputs.early_watchdog import BITES_AFTER_S
from tests.boot import other_slot
from tests.boot.modules import put_module, take_module
from tests.boot.recovery import main_pid
from tests.boot.rows import Table, wait_for
from tests.boot.update_rows import BROKEN, INSTALL_DEADLINE_S, boot_note

NO_SUPERVISOR = "systemd.mask=skywire-board.service"
"""A system that is up, and nobody judges it: neither good nor taken back, for ever, were it not for the watchdog."""

NOTE, EARLY_S = "/var/lib/skywire-board/watchdog", 127
"""Sooner than the board's own ten minutes, so that three of them can be watched."""

ARMED_WITHIN_S, BITES_WITHIN_S, UP_WITHIN_S = 180, 240, 900
LEAKS_WITHIN_S = 240
BOOTED = re.compile(r"SKY slot [AB] at sector")
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
ARMED = "cat /sys/class/watchdog/watchdog0/state /sys/class/watchdog/watchdog0/timeout"
APP, UNIT = "meshnet-socks-client", "skywire-app-meshnet-socks-client-*"
MODULE = "/usr/lib/skywire/lib/python3.13/site-packages/services/socks/client/program.py"
LEAK = """
import threading, time
def _leak(held=[]):
    time.sleep(3)
    while True:
        held.append(b"x" * (8 << 20))
        time.sleep(0.05)
threading.Thread(target=_leak, daemon=True).start()
"""


def watchdog_rows(board: Board, table: Table) -> None:
    table.check("the supervisor arms the hardware watchdog", lambda: _armed(board))
    table.check("killed with -9 it comes back in time: no reset", lambda: _killed(board))
    claim = "frozen, and with systemd's own watch switched off, the hardware resets the board"
    table.check(claim, lambda: _frozen(board))


def early_rows(board: Board, table: Table, scratch: Path) -> None:
    table.check("the boot arms it from now on, before systemd", lambda: armed_early(board))
    claim = "an update whose supervisor never starts: reset three times by the hardware, then the old slot"
    table.check(claim, lambda: _taken_back(board, scratch))


def memory_rows(board: Board, table: Table) -> None:
    table.check("a service that leaks is ended at its ceiling and started anew, alone", lambda: _leaks(board))


def _say(board: Board, command: str) -> str:
    return board.ssh(command, user="admin").stdout.strip()


def _armed(board: Board) -> tuple[str, bool]:
    said = wait_for(lambda: _say(board, ARMED) if "\nactive" in "\n" + _say(board, ARMED) else None, ARMED_WITHIN_S, 2)
    return " ".join((said or _say(board, ARMED)).split()), said is not None


def _killed(board: Board) -> tuple[str, bool]:
    boot, before, boots = _say(board, BOOT_ID), main_pid(board, "skywire-board"), _boots(board)
    _say(board, f"sudo kill -9 {before}")
    back = wait_for(lambda: main_pid(board, "skywire-board") not in {0, before} or None, 60, 1)
    after = main_pid(board, "skywire-board")
    fed = wait_for(lambda: "active" in _say(board, ARMED) or None, ARMED_WITHIN_S, 2)
    same = _say(board, BOOT_ID) == boot and _boots(board) == boots
    return f"process {before} -> {after}, armed again: {bool(fed)}, the same boot: {same}", bool(back and fed and same)


def _frozen(board: Board) -> tuple[str, bool]:
    """Its main process alone is stopped; nothing else on the board is wrong."""
    before, boots = _say(board, BOOT_ID), _boots(board)
    pid = main_pid(board, "skywire-board")
    _say(board, f"sudo systemctl service-watchdogs no; sudo kill -STOP {pid}")
    begin = time.monotonic()
    bitten = wait_for(lambda: _boots(board) > boots or None, BITES_WITHIN_S, 0.5)
    after_s = time.monotonic() - begin
    if not bitten:
        _say(board, f"sudo kill -CONT {pid}; sudo systemctl service-watchdogs yes")
        return f"no reset within {BITES_WITHIN_S} s", False
    wait_for(lambda: answers_ssh(board.port) or None, UP_WITHIN_S, 1)
    board.wait_ssh(UP_WITHIN_S)
    after = _say(board, BOOT_ID)
    return (
        f"reset {after_s:.0f} s after it was frozen; boot {before[:8]} -> {after[:8]}, it is up again",
        after != before,
    )


def armed_early(board: Board) -> tuple[str, bool]:
    """Of a board that was restarted since its supervisor armed the watchdog first."""
    note = _say(board, f"cat {NOTE}")
    said = _say(board, "sudo dmesg | grep -o 'skywire: the watchdog is armed.*'")
    return f"{note}; {said}", note == f"i6300esb {BITES_AFTER_S}" and bool(said)


def _taken_back(board: Board, scratch: Path) -> tuple[str, bool]:
    """Nobody but the hardware ends a boot of it. What the boot arms is sooner here than on a board."""
    scratch.mkdir(exist_ok=True)
    slot = other_slot.take_slot(board.image, scratch / "slot")
    mute = other_slot.changed_words(board.run, slot, scratch, NO_SUPERVISOR, scratch / "mute")
    bundle = other_slot.sign(board.run, mute, BROKEN, scratch, scratch / "mute.raucb")
    _say(board, f"echo 'i6300esb {EARLY_S}' | sudo tee {NOTE}")
    boots, begin = _boots(board), time.monotonic()
    board.send(bundle.read_bytes(), "update - --yes", user="viscript", deadline_s=INSTALL_DEADLINE_S)
    _await_boots(board, boots + 1)
    times = list[float]()
    for number in range(2, 5):
        begin = time.monotonic()
        if not _await_boots(board, boots + number):
            return f"no reset within {UP_WITHIN_S} s of boot {number - 1}", False
        times.append(time.monotonic() - begin)
    board.wait_ssh(UP_WITHIN_S, user="admin", command="echo up")
    note = boot_note(board, lambda note: bool(note.get("rolled_back")), UP_WITHIN_S)
    tried = BOOTED.findall(board.console())[boots:]
    told = ", ".join(f"{took:.0f} s" for took in times)
    return f"resets {told} after the boot loader; {tried}; {note.get('rolled_back')}", BROKEN in note.get(
        "rolled_back", ""
    ) and len(tried) == 4 and tried[3] != tried[0]


def _await_boots(board: Board, count: int) -> bool:
    return wait_for(lambda: _boots(board) >= count or None, UP_WITHIN_S, 0.5) is not None


def _leaks(board: Board) -> tuple[str, bool]:
    """A thread that takes 8 MiB each 50 ms is added to the service's own program."""
    put_module(board, MODULE, f"cat {MODULE} -", LEAK)
    boot, others = _say(board, BOOT_ID), [main_pid(board, unit) for unit in ("viscript", "skywire-board")]
    try:
        board.ssh(f"s {APP}")
        first = wait_for(lambda: _pid(board) or None, LEAKS_WITHIN_S, 0.5) or 0
        ceiling = _say(board, f"systemctl show -P MemoryMax '{UNIT}'").split()
        again = wait_for(lambda: _pid(board) if _pid(board) not in {0, first} else None, LEAKS_WITHIN_S, 0.5) or 0
        log = _say(board, "sudo journalctl -b -q -o cat --no-pager | grep -iE 'oom|out of memory' | tail -n 2")
    finally:
        take_module(board, MODULE)
        board.ssh(f"sd {APP}", check=False)
    same = _say(board, BOOT_ID) == boot and others == [main_pid(board, unit) for unit in ("viscript", "skywire-board")]
    limit = f"{int(ceiling[0]) >> 20} MiB" if ceiling and ceiling[0].isdigit() else "no ceiling"
    seen = f"ceiling {limit}: process {first} -> {again}; viscript, supervisor and boot the same: {same}; {log}"
    return seen, 0 not in {first, again} and same and "no" not in limit


def _pid(board: Board) -> int:
    said = board.ssh(f"systemctl show -P MainPID '{UNIT}'", user="admin", check=False).stdout.split()
    return int(said[0]) if said else 0


def _boots(board: Board) -> int:
    return len(BOOTED.findall(board.console()))
