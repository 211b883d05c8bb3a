"""A program's standard input: a pipe with a name on tmpfs, into which others write while the program runs.

Somebody must hold it open both ways for as long as the program runs, the program itself or the starter: it
then never reads an end of file, whoever of its writers dies.
"""

from __future__ import annotations

import errno
import os
import select
from pathlib import Path

from viscript.errors import StartError

MAX_WRITE = select.PIPE_BUF
"""Bytes that go in all at once or not at all."""


class Inlet:
    """The pipe at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self, mode: int = 0o600) -> int:
        """A descriptor that reads and writes: to give to the program, or to hold."""
        self.remove()
        os.mkfifo(self.path, 0o600)
        self.path.chmod(mode)
        return self.hold()

    def hold(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    def write(self, data: bytes) -> None:
        """All of it or nothing, without waiting. Raises StartError with the reason it is not taken."""
        if len(data) > MAX_WRITE:
            raise StartError(f"{len(data)} bytes of input at once, at most {MAX_WRITE} are taken")
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise StartError("the program has no input: it is a daemon, or has ended") from None
        except OSError as error:
            why = "nobody reads it" if error.errno == errno.ENXIO else error.strerror
            raise StartError(f"the program's input cannot be opened: {why}") from error
        try:
            os.write(fd, data)
        except BlockingIOError:
            raise StartError("the program does not read its input: no more fits in (try again later)") from None
        finally:
            os.close(fd)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
