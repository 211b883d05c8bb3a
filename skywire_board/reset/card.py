"""The door to the card's partition table (MBR): the type of the data partition, one byte of its first sector."""

import os
import stat
from pathlib import Path

from skywire_board.errors import ResetError

SECTOR_BYTES = 512
SIGNATURE = b"\x55\xaa"
ENTRY, ENTRY_BYTES, TYPE_AT, START_AT = 446, 16, 4, 8
DATA_PARTITION = 4
TO_BE_MADE = 0xDA


def mark_new(card: Path) -> bool:
    """Make the data partition one that the next boot makes anew; true when it was not so already. Raises ResetError.

    Back when the sector is on the card.
    """
    try:
        fd = os.open(card, os.O_RDWR | os.O_SYNC | os.O_CLOEXEC)
        try:
            if not stat.S_ISBLK(os.fstat(fd).st_mode) and not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ResetError(f"'{card}' is no card (expected a disk, or its image)")
            old = os.pread(fd, SECTOR_BYTES, 0)
            new = with_type(old, card)
            if new == old:
                return False
            if os.pwrite(fd, new, 0) != SECTOR_BYTES:
                raise ResetError(f"the partition table of '{card}' was not written: the card takes nothing")
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise ResetError(f"cannot write the partition table of '{card}': {error.strerror}") from error
    return True


def with_type(sector: bytes, card: Path) -> bytes:
    """The first sector with the data partition to be made; nothing else of it changes. Raises ResetError."""
    entry = ENTRY + (DATA_PARTITION - 1) * ENTRY_BYTES
    if len(sector) != SECTOR_BYTES or not sector.endswith(SIGNATURE):
        raise ResetError(f"'{card}' has no partition table: is it the card?")
    start, sectors = (int.from_bytes(sector[at : at + 4], "little") for at in (entry + START_AT, entry + START_AT + 4))
    if not start or not sectors:
        raise ResetError(f"'{card}' has no partition {DATA_PARTITION}: write the image onto the card again")
    return sector[: entry + TYPE_AT] + bytes([TO_BE_MADE]) + sector[entry + TYPE_AT + 1 :]
