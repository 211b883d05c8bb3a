"""The door to the boot partition's raw bytes: overwrites a file in place, with as many bytes as it has.

The partition stays mounted read-only all the while. Before a byte is written, what lies at the places found must be
what the mounted file says; afterwards what was written is read back, past the caches.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skywire_board.errors import SetupError
from skywire_board.setup.fat import Extent, Fat

SECTOR = 512
MOUNTS = Path("/proc/self/mountinfo")


def find_partition(mount_point: Path, mounts: Path = MOUNTS) -> Path:
    """The device that is mounted there. SetupError when none is."""
    for line in mounts.read_text().splitlines():
        words = line.split()
        if words[4] == str(mount_point):
            return Path(words[words.index("-") + 2])
    raise SetupError(f"nothing is mounted on '{mount_point}'")


class Card:
    """`start` is the partition's first byte on `device`, where that is a whole card or an image of one."""

    def __init__(self, device: Path, start: int = 0) -> None:
        self._device, self._start = device, start

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when there is none."""
        with self._open(os.O_RDONLY) as fd:
            extents = self._fat(fd).extents(name)
        return None if extents is None else sum(length for _, length in extents)

    def check(self, name: str, data: bytes) -> None:
        """SetupError unless the file's bytes are where they would be overwritten."""
        with self._open(os.O_RDONLY) as fd:
            self._find(fd, name, data)

    def overwrite(self, name: str, old: bytes, new: bytes) -> bool:
        """Puts `new` where `old` is, sector by sector where they differ; whether anything was written."""
        if len(old) != len(new):
            raise SetupError(f"'{name}' cannot be overwritten in place: {len(old)} bytes by {len(new)}")
        with self._open(os.O_RDWR) as fd:
            extents = self._find(fd, name, old)
            written = [self._put(fd, extent, old, new, at) for extent, at in _placed(extents)]
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            self._find(fd, name, new)
        return any(written)

    def read(self, name: str) -> bytes | None:
        """The file as it is on the card; None when there is none."""
        with self._open(os.O_RDONLY) as fd:
            extents = self._fat(fd).extents(name)
            return None if extents is None else self._content(fd, extents)

    def _put(self, fd: int, extent: Extent, old: bytes, new: bytes, at: int) -> bool:
        offset, length = extent
        wrote = False
        for step in range(0, length, SECTOR):
            piece = slice(at + step, at + min(step + SECTOR, length))
            if old[piece] != new[piece]:
                self._write(fd, new[piece], offset + step)
                wrote = True
        return wrote

    def _write(self, fd: int, data: bytes, offset: int) -> None:
        if os.pwrite(fd, data, self._start + offset) != len(data):
            raise SetupError(f"'{self._device}' took less than was written to it")

    def _find(self, fd: int, name: str, data: bytes) -> list[Extent]:
        extents = self._fat(fd).extents(name)
        if extents is None:
            raise SetupError(f"'{name}' is not on the boot partition")
        if self._content(fd, extents) != data:
            raise SetupError(f"'{name}' does not lie where the boot partition's tables say (check it on a computer)")
        return extents

    def _content(self, fd: int, extents: list[Extent]) -> bytes:
        return b"".join(os.pread(fd, length, self._start + offset) for offset, length in extents)

    def _fat(self, fd: int) -> Fat:
        return Fat(lambda offset, length: os.pread(fd, length, self._start + offset))

    @contextmanager
    def _open(self, flags: int) -> Iterator[int]:
        try:
            fd = os.open(self._device, flags | os.O_CLOEXEC)
        except OSError as error:
            raise SetupError(f"cannot open the boot partition '{self._device}': {error.strerror}") from error
        try:
            yield fd
        except OSError as error:
            raise SetupError(f"the boot partition '{self._device}' fails: {error.strerror}") from error
        finally:
            os.close(fd)


def forget_cached(path: Path) -> None:
    """Lets the kernel forget a mounted file's pages, as the card below it has changed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def _placed(extents: list[Extent]) -> Iterator[tuple[Extent, int]]:
    """Each extent with its place in the file."""
    at = 0
    for extent in extents:
        yield extent, at
        at += extent[1]
