"""The rows of the emulated Raspberry Pi 3: the cards' real boot chain, lights and button as registers."""

from pathlib import Path

from image.emulator.board import Board
from image.recipe import read_recipe
from tests.boot import guest_pins, light_rows
from tests.boot.card import fat_digest, open_card
from tests.boot.recovery import wait_named
from tests.boot.rows import Table

BOOT_DEADLINE_S = 1500


def prove_raspi3b(image: Path, scratch: Path, table: Table) -> None:
    """One boot of the image on `raspi3b`, from power-on to power-off."""
    aim = read_recipe().aims.raspi3b_shell_s
    board = Board("raspi3b", image, scratch / "raspi3b")
    fat_before = fat_digest(open_card(board, scratch))
    with board:
        light_rows.boot_rows(board, table, BOOT_DEADLINE_S)
        told = [line for line in board.console().splitlines() if line.startswith(("SKY slot", "SKY state", "gpio:"))]
        table.add(
            "U-Boot lights the pin, counts the try and takes slot A", "; ".join(told), any("slot A" in t for t in told)
        )
        said = board.wait_ssh(BOOT_DEADLINE_S)
        seconds = board.seconds
        table.add(
            "the shell answers over the emulated USB network",
            f"{seconds:.0f} s after power-on: {said}",
            "Viscript" in said,
        )
        table.add(f"within {aim:.0f} s", f"{seconds:.0f} s", seconds <= aim, aim=True)
        light_rows.time_rows(board, table)
        load_row(board, table)
        guest_pins.own_chip_rows(board, table, board.gpio.chip)
        wait_named(board, ("online",), 180)
        light_rows.press_rows(board, table)
        light_rows.power_off_rows(board, table, scratch, fat_before)


def load_row(board: Board, table: Table) -> None:
    """Processor time of the supervisor while nothing happens, by the kernel's own account of its unit."""
    ask = "systemctl show -P CPUUsageNSec skywire-board; cut -d' ' -f1 /proc/uptime"
    used, at = (float(word) for word in board.ssh(ask, user="admin").stdout.split())
    light_rows.online_rows(board, table)
    used_after, at_after = (float(word) for word in board.ssh(ask, user="admin").stdout.split())
    share = (used_after - used) / 1e7 / (at_after - at)
    seen = f"{share:.2f} % of one core over {at_after - at:.0f} s (emulated: a real Pi 3 is faster)"
    table.add("the supervisor takes at most 0.5 % of the processor", seen, share <= 0.5, aim=True)
