"""The writes of a card as QEMU's blklogwrites notes them, and the card that a power cut at one moment would have left.

The log is in dm-log-writes' format (Linux: Documentation/admin-guide/device-mapper/log-writes.rst): a superblock in the
first sector; then for each request a sector with (sector, sectors, flags, length of a mark), and the data behind it.
Like a card with a cache, a cut keeps what was written before the last flush, any part of what came after it, and may
have been in the midst of one write: of that one only some 512-byte sectors are there.
"""

import bisect
import random
import struct
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0x6A736677736872
SECTOR = 512
SUPER = struct.Struct("<QQQI")
ENTRY = struct.Struct("<QQQQ")
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
TEAR_ONE_IN = 2


@dataclass(frozen=True, slots=True)
class Write:
    """A request: where on the card, how long (bytes), and where in the log its data and its end are."""

    at: int
    size: int
    flags: int
    data: int
    end: int

    @property
    def is_flush(self) -> bool:
        return bool(self.flags & FLUSH)


@dataclass(frozen=True, slots=True)
class Cut:
    """What a power cut did: after which request, how many unflushed writes were kept of how many, was one torn."""

    after: int
    kept: int
    unflushed: int
    torn: bool

    def __str__(self) -> str:
        return (
            f"after request {self.after}: {self.kept} of {self.unflushed} unflushed{', one torn' if self.torn else ''}"
        )


class WriteLog:
    """A log as far as it is whole: the last request may still be on its way into the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writes = _read(path)
        self._ends = [write.end for write in self.writes]

    def count_at(self, size: int) -> int:
        """How many requests had been noted when the file had that size."""
        return bisect.bisect_right(self._ends, size)

    def cut(self, after: int, dice: random.Random, card: Path) -> Cut:
        """Brings a copy of the card, as it was at power-on, to what a cut after that many requests would leave."""
        done = self.writes[:after]
        flushed = max((number for number, write in enumerate(done) if write.is_flush), default=-1)
        loose = [write for write in done[flushed + 1 :] if write.size]
        kept = [write for write in loose if write.flags & FUA or dice.random() < 0.5]
        torn = next((w for w in dice.sample(kept, len(kept)) if w.size > SECTOR and not w.flags & FUA), None)
        if torn is not None and dice.randrange(TEAR_ONE_IN):
            torn = None
        with self.path.open("rb") as log, card.open("r+b") as target:
            for write in (*done[: flushed + 1], *kept):
                log.seek(write.data)
                data = None if write.flags & DISCARD else log.read(write.size)
                _put(target, write, data, dice if write is torn else None)
        return Cut(after, len(kept), len(loose), torn is not None)


def _put(target, write: Write, data: bytes | None, tearing: random.Random | None) -> None:  # type: ignore[no-untyped-def]
    if data is None:
        return  # a discard promises nothing of what is read afterwards
    if tearing is None:
        target.seek(write.at)
        target.write(data)
        return
    for start in range(0, write.size, SECTOR):
        if tearing.random() < 0.5:
            target.seek(write.at + start)
            target.write(data[start : start + SECTOR])


def _read(path: Path) -> tuple[Write, ...]:
    size, found = path.stat().st_size, list[Write]()
    with path.open("rb") as log:
        magic, _version, _count, sector = SUPER.unpack(log.read(SUPER.size).ljust(SUPER.size, b"\0"))
        if magic != MAGIC:
            raise ValueError(f"'{path}' is no log of writes (was anything flushed yet?)")
        place = sector
        while place + ENTRY.size <= size:
            log.seek(place)
            at, sectors, flags, mark = ENTRY.unpack(log.read(ENTRY.size))
            data = place + sector
            length = mark if flags & MARK else 0 if flags & DISCARD else sectors * sector
            end = data + -(-length // sector) * sector
            if end > size or not (at or sectors or flags):
                break  # not yet all there
            found.append(Write(at * sector, sectors * sector, flags, data, end))
            place = end
    return tuple(found)
