"""A card looked at from outside, with the board switched off: partitions, file systems, slot, boot state."""

import hashlib
import json
import struct
import zlib
from pathlib import Path

from image.emulator.board import Board
from image.errors import CommandError
from image.recipe import SECTOR, read_recipe

BLOCK = 1 << 20


def open_card(board: Board, scratch: Path) -> Path:
    """The card's present contents as a sparse raw file."""
    raw = scratch / f"{board.machine.name}-card.img"
    raw.unlink(missing_ok=True)
    board.run("qemu-img", "convert", "-O", "raw", board.card, raw)
    return raw


def partitions(board: Board, raw: Path) -> list[tuple[int, int, str]]:
    """(first sector, sectors, type) of the four partitions."""
    table = json.loads(board.run("sfdisk", "--json", raw))["partitiontable"]
    return [(row["start"], row["size"], row["type"]) for row in table["partitions"]]


def check_data(board: Board, raw: Path) -> tuple[str, bool]:
    """e2fsck over the data partition, forced and without changing anything."""
    start, size, kind = partitions(board, raw)[3]
    data = raw.with_suffix(".data")
    with raw.open("rb") as card, data.open("wb") as target:
        card.seek(start * SECTOR)
        for _ in range(0, size * SECTOR, BLOCK):
            block = card.read(min(BLOCK, size * SECTOR - target.tell()))
            target.seek(len(block), 1) if block.count(0) == len(block) else target.write(block)
        target.truncate(size * SECTOR)
    try:
        said, clean = board.run("e2fsck", "-f", "-n", data).decode(), True
    except CommandError as error:
        said, clean = str(error), False
    data.unlink()
    return f"data: type {kind}, {size // 2048} MiB, {said.splitlines()[-1]}", clean and kind == "83"


def check_slot(board: Board, raw: Path) -> tuple[str, bool]:
    """Slot A byte for byte as in the image."""
    disk = read_recipe().disk
    start, end = disk.slot_lbas[0] * SECTOR, disk.slot_lbas[1] * SECTOR
    with raw.open("rb") as card, board.image.open("rb") as image:
        card.seek(start)
        image.seek(start)
        same = all(card.read(BLOCK) == image.read(BLOCK) for _ in range(start, end, BLOCK))
    return f"slot A {'as in the image' if same else 'CHANGED'}", same


def fat_digest(raw: Path) -> str:
    """SHA-256 of the boot partition."""
    disk = read_recipe().disk
    with raw.open("rb") as card:
        card.seek(disk.fat_lba * SECTOR)
        return hashlib.sha256(card.read(disk.fat_mib << 20)).hexdigest()


def check_fat(raw: Path, before: str) -> tuple[str, bool]:
    """The boot partition byte for byte as it was before power-on: the board never writes to it."""
    same = fat_digest(raw) == before
    return f"boot partition {'unchanged' if same else 'CHANGED'}", same


def boot_states(raw: Path) -> list[dict[str, str]]:
    """The valid copies of the boot state, read as U-Boot reads them; the newest last."""
    found = []
    with raw.open("rb") as card:
        for sector in read_recipe().disk.state_sectors:
            card.seek(sector * SECTOR)
            data = card.read(SECTOR)
            if struct.unpack("<I", data[:4])[0] == zlib.crc32(data[4:]):
                words = data[4:].rstrip(b"\0").decode().split("\0")
                found.append(dict(word.split("=", 1) for word in words))
    return sorted(found, key=lambda state: int(state["SKY_SEQ"], 16))


def inspect(board: Board, scratch: Path, fat_before: str) -> tuple[str, bool]:
    """All of it, for a card that was switched off cleanly."""
    raw = open_card(board, scratch)
    looks = [check_data(board, raw), check_slot(board, raw), check_fat(raw, fat_before)]
    states = boot_states(raw)
    looks.append(
        (f"boot state seq {states[-1]['SKY_SEQ']}, A {states[-1]['SKY_A_LEFT']}", states[-1]["SKY_A_LEFT"] == "3")
    )
    raw.unlink()
    return "; ".join(seen for seen, _ in looks), all(ok for _, ok in looks)
