"""Which blocks of a card image have to be written, as a block map of format 2.0 that bmaptool reads too.

It is not made of a sparse file's holes: a hole means zeros, and zeros count where an old card may have something else
(the FAT's tables, the start of slot B). Left out is only what nobody reads before it is written: clusters behind the
last one in use, and the slack of slot A.
"""

import hashlib
import re
from array import array
from pathlib import Path
from typing import BinaryIO

import msgspec

from image.errors import FlashError
from image.recipe import SECTOR, Disk

BLOCK = 4096
CHUNK = 4 << 20
FAT_MASK = 0x0FFFFFFF
NO_SUM = "0" * 64
RANGE = re.compile(r'<Range chksum="([0-9a-f]{64})">\s*(\d+)(?:-(\d+))?\s*</Range>')


class Range(msgspec.Struct, frozen=True):
    """Blocks `first` to `last`, both included, and the SHA-256 of what they hold."""

    first: int
    last: int
    sha256: str

    @property
    def start(self) -> int:
        return self.first * BLOCK


class Bmap(msgspec.Struct, frozen=True):
    """`size` is the image's in bytes."""

    size: int
    ranges: tuple[Range, ...]

    @property
    def mapped_bytes(self) -> int:
        return sum(self.length(one) for one in self.ranges)

    def length(self, one: Range) -> int:
        """Bytes of a range; the last block may be cut off by the image's end."""
        return min((one.last + 1) * BLOCK, self.size) - one.start


def make_bmap(image: Path, disk: Disk) -> Bmap:
    """Of an unpacked image with the card's layout."""
    size, slots = image.stat().st_size, disk.slot_lbas
    with image.open("rb") as file:
        fat_end = disk.fat_lba * SECTOR + _fat_used(file, disk.fat_lba * SECTOR)
        slot_end = _last_used(file, slots[0] * SECTOR, slots[1] * SECTOR)
        spans = [(0, fat_end), (slots[0] * SECTOR, slot_end), (slots[1] * SECTOR, size)]
        ranges = [_range(file, start // BLOCK, -(-end // BLOCK) - 1) for start, end in spans if end > start]
    return Bmap(size, tuple(ranges))


def whole(size: int) -> Bmap:
    """Of an image of which no map is known: all of it, without a sum."""
    return Bmap(size, (Range(0, -(-size // BLOCK) - 1, NO_SUM),))


def render(bmap: Bmap) -> str:
    """The file, its own checksum included: of the text with zeros in the checksum's place."""
    mapped = sum(one.last - one.first + 1 for one in bmap.ranges)
    rows = [f'        <Range chksum="{one.sha256}"> {one.first}-{one.last} </Range>' for one in bmap.ranges]
    text = "\n".join([
        '<?xml version="1.0" ?>',
        '<bmap version="2.0">',
        f"    <ImageSize> {bmap.size} </ImageSize>",
        f"    <BlockSize> {BLOCK} </BlockSize>",
        f"    <BlocksCount> {-(-bmap.size // BLOCK)} </BlocksCount>",
        f"    <MappedBlocksCount> {mapped} </MappedBlocksCount>",
        "    <ChecksumType> sha256 </ChecksumType>",
        f"    <BmapFileChecksum> {NO_SUM} </BmapFileChecksum>",
        "    <BlockMap>",
        *rows,
        "    </BlockMap>",
        "</bmap>",
        "",
    ])  # fmt: skip
    return text.replace(NO_SUM, hashlib.sha256(text.encode()).hexdigest(), 1)


def parse(text: str, source: str) -> Bmap:
    """FlashError when it is not of this format, or damaged."""
    found = re.search(r"<BmapFileChecksum>\s*([0-9a-f]{64})\s*</BmapFileChecksum>", text)
    size = re.search(r"<ImageSize>\s*(\d+)\s*</ImageSize>", text)
    if found is None or size is None or f"<BlockSize> {BLOCK} </BlockSize>" not in text:
        raise FlashError(f"'{source}' is no block map of format 2.0 with blocks of {BLOCK} bytes (build it anew)")
    if hashlib.sha256(text.replace(found[1], NO_SUM, 1).encode()).hexdigest() != found[1]:
        raise FlashError(f"'{source}' is damaged: its checksum is wrong (build it anew)")
    ranges = [Range(int(first), int(last or first), digest) for digest, first, last in RANGE.findall(text)]
    return Bmap(int(size[1]), tuple(ranges))


def read_bmap(image: Path, disk: Disk) -> Bmap | None:
    """The map beside the image, else one made of it; None for a packed image without one."""
    plain = image.with_suffix("") if image.suffix == ".xz" else image
    beside = plain.with_suffix(".bmap")
    if beside.exists():
        return parse(beside.read_text(), str(beside))
    return None if image.suffix == ".xz" else make_bmap(image, disk)


def _fat_used(file: BinaryIO, start: int) -> int:
    """Bytes from the file system's start to the end of its last cluster in use (FAT32)."""
    file.seek(start)
    boot = file.read(SECTOR)
    per_cluster, reserved, tables = boot[13], int.from_bytes(boot[14:16], "little"), boot[16]
    table_sectors = int.from_bytes(boot[36:40], "little")
    file.seek(start + reserved * SECTOR)
    table = array("I", file.read(table_sectors * SECTOR))
    last = max(number for number, entry in enumerate(table) if entry & FAT_MASK)
    return (reserved + tables * table_sectors + (last - 1) * per_cluster) * SECTOR


def _last_used(file: BinaryIO, start: int, end: int) -> int:
    """Behind the last block that is not zeros; a slot's last part is a tree of sums, no block of which is zero."""
    for at in range(end - CHUNK, start - 1, -CHUNK):
        file.seek(at)
        held = file.read(CHUNK).rstrip(b"\0")
        if held:
            return at + -(-len(held) // BLOCK) * BLOCK
    return start


def _range(file: BinaryIO, first: int, last: int) -> Range:
    file.seek(first * BLOCK)
    left, digest = (last - first + 1) * BLOCK, hashlib.sha256()
    while left > 0 and (piece := file.read(min(CHUNK, left))):
        digest.update(piece)
        left -= len(piece)
    return Range(first, last, digest.hexdigest())
