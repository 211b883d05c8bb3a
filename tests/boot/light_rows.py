"""Lights and button, seen and pressed through the emulated pins: the same on both machines."""

import time
from pathlib import Path

from image.emulator.board import Board
from image.errors import EmulatorError
from tests.boot.card import inspect
from tests.boot.lights import describe, edges, is_period, periods
from tests.boot.recovery import wait_pattern
from tests.boot.rows import Table

# The board's own table (skywire_board/patterns.py), written out: what a person is told to expect.
BOOTING_S, RUNNING_S, IDENTIFY_S, SHUTTING_DOWN_S = 1.0, 2.0, 0.3, 0.7
ACTIVITY_DEADLINE_S = 120


def boot_rows(board: Board, table: Table, deadline_s: float) -> None:
    """From power-on: first light, first blink, ten periods of booting, then running."""
    seen: list[tuple[float, bool]] = []
    running = kernel_at = None
    while board.seconds < deadline_s and running is None:
        look_s = 3 * RUNNING_S if kernel_at else 0.2
        seen += [(at, status) for at, status, _ in board.watch_lights(look_s)]
        if kernel_at is None and "Starting kernel" in board.console():
            kernel_at = board.seconds
        recent = [sample for sample in seen if sample[0] > board.seconds - 4 * RUNNING_S]
        if is_period(periods(recent), RUNNING_S, count=2):
            running = board.seconds
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
    table.add("booting: even blinking, once a second", describe(booting), is_period(booting, BOOTING_S))
    table.add("running follows", f"seen after {running or -1:.1f} s", running is not None)


def activity_rows(board: Board, table: Table) -> None:
    """The second light flashes when a health check is answered, every 10 s while all is well."""
    seen: list[tuple[float, bool]] = []
    begin = time.monotonic()
    while not edges(seen) and time.monotonic() - begin < ACTIVITY_DEADLINE_S:
        seen += [(at, activity) for at, _, activity in board.watch_lights(RUNNING_S, every_s=0.005)]
    flashes = edges(seen)
    at = f"{flashes[0][0] - seen[0][0]:.1f} s after the first look" if flashes else "no flash"
    table.add("the activity light flashes when viscript has answered", at, bool(flashes))


def running_rows(board: Board, table: Table) -> None:
    found = periods([(at, status) for at, status, _ in board.watch_lights(14 * RUNNING_S)])
    table.add("running: lit, with a wink every 2 s", describe(found), is_period(found, RUNNING_S))


def press_rows(board: Board, table: Table) -> None:
    """A short press from outside: fast blinking, then running again."""
    board.press(0.2)
    seen = [(at, status) for at, status, _ in board.watch_lights(8)]
    found = [p for p in periods(seen) if p < 3 * IDENTIFY_S]
    table.add("a short press makes it blink fast (identify)", describe(found), is_period(found, IDENTIFY_S))
    back = wait_pattern(board, RUNNING_S, 60)
    table.add("and running comes back by itself", f"after {back or -1:.0f} s more", back is not None)


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
