"""A bounded file for a program's output. The program appends by itself and never waits for us, so it can
outlive us.

The front is given back to the file system by punching a hole: nothing is copied, no line is lost, and the
reader's offsets stay true. Where that is not possible the file is emptied instead.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

LIMIT = 64 * 1024
PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01
_LONG_LINE = 400


class Ring:
    """The last `limit` bytes of what was written to `path`."""

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path = path
        self._limit = limit

    def open(self) -> int:
        """A descriptor to give to the program; the caller closes its own copy."""
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def trim(self) -> None:
        """Give back everything but the last `limit` bytes."""
        try:
            excess = self.path.stat().st_size - self._limit
            if excess <= 0:
                return
            with self.path.open("r+b") as file:
                if not _punch(file.fileno(), excess):
                    file.truncate(0)
        except FileNotFoundError:
            return

    def last_lines(self, count: int) -> tuple[str, ...]:
        """The last lines, without line ends; unreadable bytes are replaced, over-long lines cut."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - self._limit))
                data = file.read(self._limit)
        except FileNotFoundError:
            return ()
        lines = data.lstrip(b"\0").decode("utf-8", "replace").splitlines()
        return tuple(line[:_LONG_LINE] for line in lines[-count:])

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _punch(fd: int, size: int) -> bool:
    try:
        fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
    except (OSError, AttributeError):
        return False
    return bool(fallocate(fd, PUNCH_HOLE_KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(size)) == 0)
