"""A card that was never updated: the board copies its slot to the empty one, and runs from there when a bit flips."""

import hashlib
import json

from image.emulator.board import Board
from image.recipe import SECTOR, read_recipe
from image.steps.scripts import SCRIPT_SECTORS
from skywire_board.bootstate.codec import read_words
from skywire_board.update.second_slot import slot_bytes
from tests.boot.rows import Table, wait_for
from tests.boot.update_rows import BOOT_DEADLINE_S, boot_note

FILL_DEADLINE_S, GOOD_WITHIN_S = 900, 600


def second_rows(board: Board, table: Table) -> None:
    """The board is up when it begins and when it ends."""
    table.check("a fresh card's second slot is filled while the board runs", lambda: _filled(board))
    table.check("seen from outside, both slots hold the same", lambda: _same(board))
    table.check("a bit of the first slot's kernel flips: the second takes over", lambda: _takes_over(board))


def _filled(board: Board) -> tuple[str, bool]:
    """By the unit that its timer starts a quarter of an hour after power-on."""
    wait_for(lambda: boot_note(board, lambda note: bool(note.get("good")), 5).get("good") or None, GOOD_WITHIN_S, 1)
    before = _state(board)
    board.ssh("sudo systemctl start skywire-second-slot", user="admin", deadline_s=FILL_DEADLINE_S)
    said = board.ssh("sudo journalctl -u skywire-second-slot -b -q -o cat --no-pager", user="admin").stdout
    after = _state(board)
    ok = not before["b_good"] and bool(after["b_good"]) and after["order"] == "A B"
    return f"{said.strip()}; {before} -> {after}", ok


def _state(board: Board) -> dict[str, object]:
    said = board.ssh("sudo /usr/lib/skywire/bin/boot-backend show --json", user="admin").stdout
    return dict(json.loads(said))


def _same(board: Board) -> tuple[str, bool]:
    words = read_words(board.ssh("cat /proc/cmdline", user="admin").stdout)
    board.close()
    raw = board.folder / "both.img"
    board.run("qemu-img", "convert", "-O", "raw", board.card, raw)
    size, sums = slot_bytes(words), []
    with raw.open("rb") as card:
        for lba in read_recipe().disk.slot_lbas:
            card.seek(lba * SECTOR)
            sums.append(hashlib.sha256(card.read(size)).hexdigest()[:16])
    raw.unlink()
    return f"{size} bytes each, SHA-256 {sums}", len(set(sums)) == 1


def _takes_over(board: Board) -> tuple[str, bool]:
    kernel = (read_recipe().disk.slot_lbas[0] + SCRIPT_SECTORS) * SECTOR
    board.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P 0xa5 {kernel + (1 << 20)} 512", board.card)
    board.power_on()
    note = boot_note(board, lambda note: bool(note.get("slot")), BOOT_DEADLINE_S)
    return str(note), note.get("slot") == "B" and "did not come up" in note.get("rolled_back", "")
