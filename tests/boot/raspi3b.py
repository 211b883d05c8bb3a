"""The rows of the emulated Raspberry Pi 3: the cards' real boot chain, lights and button as registers."""

from pathlib import Path

from image.emulator.board import Board
from image.recipe import read_recipe
from tests.boot import light_rows
from tests.boot.rows import Table

BOOT_DEADLINE_S = 1500


def prove_raspi3b(image: Path, scratch: Path, table: Table) -> None:
    """One boot of the image on `raspi3b`, from power-on to power-off."""
    aim = read_recipe().aims.raspi3b_shell_s
    with Board("raspi3b", image, scratch / "raspi3b") as board:
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
        light_rows.running_rows(board, table)
        light_rows.press_rows(board, table)
        light_rows.power_off_rows(board, table, scratch)
