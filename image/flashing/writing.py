"""Copies an image onto a disk by its block map, and reads back what was written, past the caches.

The first block, with the partition table, is written last: a copy that was cut short leaves no card that looks whole.
"""

import fcntl
import hashlib
import lzma
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from image.errors import FlashError
from image.flashing.bmap import BLOCK, CHUNK, NO_SUM, Bmap, Range
from image.flashing.boot_partition import MBR_ID
from image.recipe import SECTOR

BLKFLSBUF = 0x1261  # <linux/fs.h>: write and forget the cached blocks of a disk
Progress = Callable[[int], None]
"""Is told how many bytes more were done."""


def check_image(image: Path, disk_id: int) -> None:
    """FlashError unless the file begins as a card image of ours does: the rest is told by its block map."""
    if not image.is_file():
        raise FlashError(f"there is no image '{image}' (build it: sudo image/build; or name another: --image FILE)")
    try:
        with _open_image(image) as source:
            head = source.read(SECTOR)
    except OSError as error:
        raise FlashError(f"cannot read the image '{image}': {error.strerror}") from None
    if head[MBR_ID] != disk_id.to_bytes(4, "little"):
        raise FlashError(f"'{image}' is no card image of Skywire Board (the .img or .img.xz in dist/ is one)")


@contextmanager
def open_disk(path: Path, *, shared: bool = False) -> Iterator[int]:
    """For reading and writing, alone: the kernel refuses it for a disk that is mounted, unless `shared`."""
    flags = os.O_RDWR | os.O_CLOEXEC | (0 if shared or not path.is_block_device() else os.O_EXCL)
    try:
        fd = os.open(path, flags)
    except OSError as error:
        hint = "run it with sudo" if isinstance(error, PermissionError) else "is it mounted or in use?"
        raise FlashError(f"cannot open '{path}': {error.strerror} ({hint})") from None
    try:
        yield fd
    except OSError as error:
        raise FlashError(f"'{path}' fails: {error.strerror} (try another card)") from error
    finally:
        os.close(fd)


def write(image: Path, bmap: Bmap, fd: int, progress: Progress) -> None:
    """Writes every mapped block. FlashError when the image is not what the map says: the partition table is not there
    then.
    """
    head = b""
    with _open_image(image) as source:
        at = 0
        for one in bmap.ranges:
            at = _skip(source, at, one.start)
            digest = hashlib.sha256()
            for piece in _pieces(source, bmap.length(one), image):
                digest.update(piece)
                if at == 0:
                    head, piece = piece[:BLOCK], bytes(BLOCK) + piece[BLOCK:]  # noqa: PLW2901  # held back
                _put(fd, piece, at)
                at += len(piece)
                progress(len(piece))
            if one.sha256 not in (NO_SUM, digest.hexdigest()):
                raise FlashError(f"'{image}' is damaged: blocks {one.first} to {one.last} differ from its block map")
    os.fsync(fd)
    _put(fd, head, 0)
    os.fsync(fd)


def verify(image: Path, bmap: Bmap, fd: int, progress: Progress) -> None:
    """Reads it all back from the disk. FlashError names the first place that differs."""
    forget(fd)
    for one in bmap.ranges:
        digest = hashlib.sha256()
        for start in range(one.start, one.start + bmap.length(one), CHUNK):
            piece = os.pread(fd, min(CHUNK, one.start + bmap.length(one) - start), start)
            digest.update(piece)
            progress(len(piece))
        wanted = one.sha256 if one.sha256 != NO_SUM else _sum_of(image, bmap, one)
        if digest.hexdigest() != wanted:
            raise FlashError(
                f"what was read back is not what was written, between {one.start >> 20} and "
                f"{one.start + bmap.length(one) >> 20} MiB: the card is bad, or not as big as it says (try another)"
            )


def forget(fd: int) -> None:
    """Lets the kernel read from the disk again, not from its memory."""
    os.fsync(fd)
    if stat.S_ISBLK(os.fstat(fd).st_mode):
        fcntl.ioctl(fd, BLKFLSBUF)
    else:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def unpacked_size(image: Path) -> int:
    """Bytes of the image; a packed one is read through for that."""
    if image.suffix != ".xz":
        return image.stat().st_size
    with _open_image(image) as source:
        return _skip(source, 0, None)


@contextmanager
def _open_image(image: Path) -> Iterator[IO[bytes]]:
    try:
        with lzma.open(image) if image.suffix == ".xz" else image.open("rb") as source:
            yield source
    except (lzma.LZMAError, EOFError) as error:
        raise FlashError(f"'{image}' is damaged: {error} (build or fetch it again)") from None


def _skip(source: IO[bytes], at: int, target: int | None) -> int:
    """Reads on to `target`, or to the end; returns where that is."""
    while (target is None or at < target) and (
        piece := source.read(CHUNK if target is None else min(CHUNK, target - at))
    ):
        at += len(piece)
    return at


def _pieces(source: IO[bytes], left: int, image: Path) -> Iterator[bytes]:
    while left > 0:
        piece = source.read(min(CHUNK, left))
        if not piece:
            raise FlashError(f"'{image}' ends before its block map does (build or fetch it again)")
        left -= len(piece)
        yield piece


def _put(fd: int, data: bytes, at: int) -> None:
    while data:
        done = os.pwrite(fd, data, at)
        data, at = data[done:], at + done


def _sum_of(image: Path, bmap: Bmap, one: Range) -> str:
    digest = hashlib.sha256()
    with _open_image(image) as source:
        _skip(source, 0, one.start)
        for piece in _pieces(source, bmap.length(one), image):
            digest.update(piece)
    return digest.hexdigest()
