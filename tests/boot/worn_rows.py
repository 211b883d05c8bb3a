"""A card that wears, on a board whose two slots are good: a sector of the running root cannot be read any more, then a
block of the other slot's root holds something else. Each ends in the slot that is whole.
"""

import re
from collections.abc import Callable

from image.emulator.board import Board
from image.recipe import SECTOR, read_recipe
from image.steps.slot import BLOCK
from skywire_board.bootstate.codec import read_words
from tests.boot.rows import Table, wait_for
from tests.boot.update_rows import BOOT_DEADLINE_S, boot_note

GOOD_WITHIN_S, OFF_WITHIN_S = 600, 300
TRACE = "virtio_blk_handle_read"
READ = re.compile(rf"{TRACE} .*? sector (\d+) nsectors (\d+)")
USED = "sudo sh -c 'echo 3 >/proc/sys/vm/drop_caches; /usr/lib/skywire/bin/python3 -c pass'"
"""What every boot needs, read from the card and not out of the cache."""


def worn_rows(board: Board, table: Table) -> None:
    """The board is up when it begins and when it ends, in the slot where it began."""
    table.check("a sector of the running root cannot be read: the other slot takes over", lambda: _unreadable(board))
    table.check("a block of the root is changed: the other slot takes over", lambda: _changed(board))


def _unreadable(board: Board) -> tuple[str, bool]:
    sector = _sector_in_use(board)
    says = (r"I/O error, dev vda", r"verity device has I/O error")
    return _falls(board, lambda: board.wear(sector), *says)


def _changed(board: Board) -> tuple[str, bool]:
    place = _sector_in_use(board) * SECTOR // BLOCK * BLOCK

    def change() -> None:
        board.wear()
        board.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P 0xa5 {place} {BLOCK}", board.card)

    return _falls(board, change, r"verity: [^\n]* is corrupted")


def _falls(board: Board, damage: Callable[[], None], *says: str) -> tuple[str, bool]:
    """Switched off in order, damaged, switched on: what was said on the way to the other slot, and how often."""
    slot = str(boot_note(board, lambda note: bool(note.get("slot")), BOOT_DEADLINE_S)["slot"])
    board.ssh("sudo systemctl poweroff", user="admin", check=False)
    board.wait_off(OFF_WITHIN_S)
    board.close()
    damage()
    board.power_on()
    note = boot_note(board, lambda note: note.get("slot") not in (None, slot), BOOT_DEADLINE_S)
    console = board.console()
    told = [len(re.findall(text, console)) for text in says]
    states = re.findall(r"SKY state [^\n]*?(unclean=\d \w*)", console)
    fell = note.get("slot") not in (None, slot) and "did not" in note.get("rolled_back", "")
    return f"{dict(zip(says, told, strict=True))}; {states}; {note}", fell and min(told) >= len(states) - 1 >= 1


def _sector_in_use(board: Board) -> int:
    """A sector of the running root that the board reads as it boots, in the longest piece that a program takes."""
    good = wait_for(
        lambda: boot_note(board, lambda note: bool(note.get("good")), 5).get("good") or None, GOOD_WITHIN_S, 1
    )
    assert good, "the slot is not marked good"
    words = read_words(board.ssh("cat /proc/cmdline", user="admin").stdout)
    start = read_recipe().disk.slot_lbas["AB".index(words["slot"])] + int(words["linear"])
    root = range(start, start + int(words["blocks"]) * BLOCK // SECTOR)
    log = board.folder / "host.log"
    before = log.stat().st_size
    board.qmp.ask("trace-event-set-state", name=TRACE, enable=True)
    board.ssh(USED, user="admin")
    board.qmp.ask("trace-event-set-state", name=TRACE, enable=False)
    with log.open() as file:
        file.seek(before)
        reads = [(int(count), int(sector)) for sector, count in READ.findall(file.read())]
    found = [(count, sector) for count, sector in reads if sector in root]
    assert found, f"no read of the root was seen among {len(reads)}"
    return max(found)[1]
