"""The pool of pipes through which bytes are spliced.

A pipe is taken for as long as bytes are in it, which is for the length of two system calls where the far end takes what
it is given; so a handful serves thousands of connections. The first are large, since a larger pipe needs fewer calls;
what an unprivileged user may hold in pages (fs.pipe-user-pages-soft: 16384) bounds their number, not the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import NamedTuple

LARGE_BYTES = 1 << 18
"""With a megabyte a call costs less CPU for a byte, but sixteen streams then have more under way than caches hold."""

MOST_LARGE = 64
MOST_KEPT = 32


class Pipe(NamedTuple):
    reading: int
    writing: int
    size: int


class Pipes:
    """`most` is how many may be out at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free: list[Pipe] = []
        self._made = 0
        self._large = 0

    @property
    def out(self) -> int:
        return self._made - len(self._free)

    def take(self) -> Pipe | None:
        """None where too many are out. Raises OSError."""
        if self._free:
            return self._free.pop()
        return self._make() if self._made < self._most else None

    def give_back(self, pipe: Pipe) -> None:
        """It must be empty."""
        if len(self._free) < MOST_KEPT:
            self._free.append(pipe)
        else:
            self.throw_away(pipe)

    def throw_away(self, pipe: Pipe) -> None:
        """With what is in it, which nobody else may see."""
        os.close(pipe.reading)
        os.close(pipe.writing)
        self._made -= 1
        self._large -= pipe.size >= LARGE_BYTES

    def close(self) -> None:
        while self._free:
            self.throw_away(self._free.pop())

    def _make(self) -> Pipe:
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._large < MOST_LARGE:
            with contextlib.suppress(OSError):  # the user has spent their pages: a small one serves, too
                fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, LARGE_BYTES)
        pipe = Pipe(reading, writing, fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ))
        self._made += 1
        self._large += pipe.size >= LARGE_BYTES
        return pipe
