"""The rows of the `virt` machine: the shell, the refusals, recovery, lights, and switching off."""

from pathlib import Path

from image.emulator.board import Board
from image.recipe import read_recipe
from tests.boot import app_rows, guest_pins, light_rows, mesh_rows, recovery, refusals, service_rows, transcript
from tests.boot.card import fat_digest, open_card
from tests.boot.rows import Table

BOOT_DEADLINE_S = 900


def prove_virt(image: Path, scratch: Path, table: Table) -> None:
    """One boot of the image on `virt`, from power-on to power-off."""
    aim = read_recipe().aims.virt_shell_s
    board = Board("virt", image, scratch / "virt")
    fat_before = fat_digest(open_card(board, scratch))
    with board:
        board.wait_ssh(BOOT_DEADLINE_S)
        seconds = board.seconds
        table.add("virt boots slot A through U-Boot to the shell", f"{seconds:.0f} s after power-on", True)
        table.add(f"within {aim:.0f} s", f"{seconds:.0f} s", seconds <= aim, aim=True)
        recovery.wait_named(board, ("online",), 180)
        app = transcript.shell_rows(board, table)
        transcript.directory_rows(board, table)
        transcript.admin_rows(board, table)
        mesh_rows.mesh_rows(board, table)
        service_rows.service_rows(board, table)
        refusals.refusal_rows(board, table)
        guest_pins.pin_rows(board, table)
        recovery.kill_rows(board, table, app)
        transcript.shutdown_rows(board, table, app)
        app_rows.app_rows(board, table)
        recovery.wait_named(board, ("online",), 180)
        light_rows.online_rows(board, table)
        light_rows.status_rows(board, table)
        light_rows.activity_rows(board, table)
        light_rows.press_rows(board, table)
        light_rows.hold_rows(board, table)
        light_rows.power_off_rows(board, table, scratch, fat_before)
