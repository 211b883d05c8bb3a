"""A bounded file for a program's output. The program appends by itself and never waits for us, so it can
outlive us.

The front is given back to the file system in whole pages: nothing is copied, no line is lost, and offsets
stay true, for the hole that is left begins at the file's start and ends where the kept bytes begin. Where
there can be no hole, all that was written so far is let go instead.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from viscript.launcher.model import Output

LIMIT = 64 * 1024
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LONG_LINE = 400


class Ring:
    """The last `limit` bytes, and up to a page more, of what was written to `path`."""

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path = path
        self._limit = limit

    def open(self, mode: int = 0o600) -> int:
        """A descriptor to give to the program; the caller closes its own copy."""
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _FLAGS & ~os.O_NONBLOCK, mode)
        os.fchmod(fd, mode)
        return fd

    def trim(self) -> int:
        """Give back all whole pages before the last `limit` bytes; how many bytes that were."""
        try:
            if self.path.lstat().st_size < self._limit:
                return 0
            fd = os.open(self.path, os.O_RDWR | _FLAGS)
        except FileNotFoundError:
            return 0
        try:
            size, first = os.fstat(fd).st_size, _first_kept(fd)
            end = max(size - self._limit, 0) // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
            if end > first:
                _let_go(fd, first, end, size)
            return max(end - first, 0)
        finally:
            os.close(fd)

    def read(self, offset: int, limit: int) -> Output:
        """At most `limit` bytes from `offset` on, or from the first kept one; a negative offset counts from the
        end. Raises OSError, but takes a file that is not there for an empty one.
        """
        try:
            fd = os.open(self.path, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            return Output(0, b"")
        try:
            size = os.fstat(fd).st_size
            wanted = size + offset if offset < 0 else min(offset, size)
            start = max(wanted, _first_kept(fd), size - self._limit - mmap.ALLOCATIONGRANULARITY)
            return Output(start, os.pread(fd, limit, start))
        finally:
            os.close(fd)

    def last_lines(self, count: int) -> tuple[str, ...]:
        """The last lines, without line ends; unreadable bytes are replaced, over-long lines cut."""
        output = self.read(-self._limit, self._limit)
        lines = output.data.decode("utf-8", "replace").splitlines()
        return tuple(line[:_LONG_LINE] for line in lines[-count:])

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _first_kept(fd: int) -> int:
    """Where the hole at the front ends; a page's start, as only pages are let go."""
    try:
        return os.lseek(fd, 0, os.SEEK_DATA)
    except OSError:  # nothing but hole
        return os.fstat(fd).st_size


def _let_go(fd: int, first: int, end: int, size: int) -> None:
    try:
        with mmap.mmap(fd, end - first, offset=first) as front:
            front.madvise(mmap.MADV_REMOVE)
    except OSError:
        os.ftruncate(fd, 0)
        os.ftruncate(fd, size)
