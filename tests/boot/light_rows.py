"""Lights and button, seen and pressed through the emulated pins: the same on both machines.

`lights.LOOKS` is what a person is told to expect.
"""

import time
from pathlib import Path

from image.emulator.board import Board
from image.errors import EmulatorError
from tests.boot.card import inspect
from tests.boot.lights import describe, edges, is_period, name_pattern, periods
from tests.boot.recovery import wait_named
from tests.boot.rows import Table

BOOTING_S, ONLINE_S, IDENTIFY_S, SHUTTING_DOWN_S = 1.0, 2.0, 0.3, 0.7
UP = ("joining", "no_time", "unclaimed", "online")
HELD_UNITS = "skywire-pairing.service skywire-factory-reset.service"
ACTIVITY_DEADLINE_S = 120


def boot_rows(board: Board, table: Table, deadline_s: float) -> None:
    """From power-on: first light, first blink, ten periods of booting, then what a board that is up shows."""
    seen: list[tuple[float, bool]] = []
    kernel_at = None
    up = ""
    while board.seconds < deadline_s and up not in UP:
        look_s = 3 * ONLINE_S if kernel_at else 0.2
        seen += [(at, status) for at, status, _ in board.watch_lights(look_s)]
        if kernel_at is None and "Starting kernel" in board.console():
            kernel_at = board.seconds
        up = name_pattern([sample for sample in seen if sample[0] > board.seconds - 5 * ONLINE_S])
    changes = edges(seen)
    lit = next((at for at, level in changes if level), None)
    blink = next((at for at, level in changes if not level), None)
    claim = "the light is on from U-Boot, and blinks once the supervisor runs"
    if lit is None or blink is None:
        table.add(claim, f"first light {lit}, first blink {blink}", False)
    else:
        when = (
            f"first light after {lit:.1f} s, kernel started by {kernel_at or -1:.1f} s, first blink after {blink:.1f} s"
        )
        table.add(claim, when, kernel_at is not None and lit < kernel_at < blink)
    booting = [p for p in periods([s for s in seen if blink and s[0] >= blink]) if p < 1.6 * BOOTING_S]
    table.add("booting: even blinking, every second", describe(booting), is_period(booting, BOOTING_S))
    table.add("it ends when viscript answers", f"after {board.seconds:.0f} s the light says: {up}", up in UP)


def time_rows(board: Board, table: Table) -> None:
    """A board without a clock, where no time server is: it says so until the clock was set, and never again."""
    seen = wait_named(board, ("no_time",), 300)
    table.add("without a clock it says so: three quick flashes every 2 s", f"the light says: {seen}", bool(seen))
    board.ssh(f"sudo date --set=@{int(time.time())}", user="admin")
    seen = wait_named(board, ("online",), 180)
    table.add("and says online once the clock was set by hand", f"the light says: {seen}", bool(seen))


def activity_rows(board: Board, table: Table) -> None:
    """The second light flashes when a health check is answered, every 10 s while all is well."""
    seen: list[tuple[float, bool]] = []
    begin = time.monotonic()
    while not edges(seen) and time.monotonic() - begin < ACTIVITY_DEADLINE_S:
        seen += [(at, activity) for at, _, activity in board.watch_lights(ONLINE_S, every_s=0.005)]
    flashes = edges(seen)
    at = f"{flashes[0][0] - seen[0][0]:.1f} s after the first look" if flashes else "no flash"
    table.add("the activity light flashes when viscript has answered", at, bool(flashes))


def online_rows(board: Board, table: Table) -> None:
    found = periods([(at, status) for at, status, _ in board.watch_lights(14 * ONLINE_S)])
    table.add("online: lit, with a wink every 2 s", describe(found), is_period(found, ONLINE_S))


def status_rows(board: Board, table: Table) -> None:
    """The board's socket answers who may ask, and says what the light says."""
    ask = "from skywire_board.client import ask_status as a; s = a(); print(s.pattern, s.mesh, s.claimed, s.slot)"
    words = f"/usr/lib/skywire/bin/python3 -I -c '{ask}'"
    said = board.ssh(words, user="admin", check=False)
    well = said.stdout.split() == ["online", "online", "True", "A"]
    table.add("the board's socket says the same to admin", said.stdout + said.stderr, well)
    refused = board.ssh(f"sudo -u skywire-vpn {words}", user="admin", check=False)
    told = refused.stderr.strip().rpartition("\n")[2]
    table.add("and nothing to a service that is not of its group", told, "Permission denied" in told)


def hold_rows(board: Board, table: Table) -> None:
    """Held for over 3 s the light says pairing, then it counts down; let go at 7 s, nothing is done."""
    board.pins.button(pressed=True)
    seen = [(at, status) for at, status, _ in board.watch_lights(7.5)]
    board.pins.button(pressed=False)
    begin = seen[0][0]
    pairing = name_pattern([sample for sample in seen if 3.2 < sample[0] - begin < 5.0])
    found = periods([sample for sample in seen if sample[0] - begin > 5.2])
    table.add("held, the light says pairing from 3 s on", f"it says: {pairing}", pairing == "pairing")
    table.add("then it counts down", describe(found), bool(found) and max(found) < 1.2)
    back = wait_named(board, ("online",), 60)
    units = board.ssh(f"systemctl is-active {HELD_UNITS}", user="admin", check=False).stdout.split()
    table.add("let go at 7 s, nothing is done", f"{back}; {units}", bool(back) and units == ["inactive"] * 2)


def press_rows(board: Board, table: Table) -> None:
    """A short press from outside: fast blinking, then what was before."""
    board.press(0.2)
    seen = [(at, status) for at, status, _ in board.watch_lights(8)]
    found = [p for p in periods(seen) if p < 3 * IDENTIFY_S]
    table.add("a short press makes it blink fast (identify)", describe(found), is_period(found, IDENTIFY_S))
    back = wait_named(board, ("online",), 60)
    table.add("and online comes back by itself", f"the light says: {back}", bool(back))


def power_off_rows(board: Board, table: Table, scratch: Path, fat_before: str) -> None:
    """A double press: shutting-down pattern, QEMU ends by itself, slot and data as they should be."""
    board.press(0.15)
    time.sleep(0.15)
    board.press(0.15)
    seen: list[tuple[float, bool]] = []
    begin = time.monotonic()
    while board.running and time.monotonic() - begin < 180:
        try:
            seen += [(at, status) for at, status, _ in board.watch_lights(1)]
        except EmulatorError:
            break
    found = [p for p in periods(seen) if abs(p - SHUTTING_DOWN_S) < 0.4]
    table.add("a double press shows shutting down", describe(found), is_period(found, SHUTTING_DOWN_S, count=2))
    board.wait_off(180)
    table.add(
        "and switches the board off", f"QEMU ended by itself {time.monotonic() - begin:.0f} s after the press", True
    )
    table.check("root, boot partition and data are clean", lambda: inspect(board, scratch, fat_before))
