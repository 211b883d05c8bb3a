"""What the bus took is brought to this machine's disk before a person is told that it was done.

JetStream answers when its files were written, and syncs them every two minutes: a power cut takes what was decided in
between. To have it sync each write (2.10 and later) would slow down the labels too, of which every route needs several
and which are made anew where they are missing. So what a person decides is synced here, and nothing else.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from services.manager.errors import BusError

NEWEST = 2
"""Block files of a stream, which are numbered: a write may just have begun another."""


class OnDisk:
    """`folder`: JetStream's store here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def sync(self, stream: str) -> None:
        """Until all that was written to that stream here is on the disk. Raises BusError."""
        await asyncio.to_thread(self._sync, stream)

    def _sync(self, stream: str) -> None:
        try:
            for messages in self._folder.glob(f"**/streams/{stream}/msgs"):
                blocks = sorted(messages.glob("*.blk"), key=lambda block: int(block.stem))
                for path in (*blocks[-NEWEST:], messages):
                    _fsync(path)
        except FileNotFoundError:
            return  # a block that was just now emptied: what is in another was written before
        except (OSError, ValueError) as error:
            raise BusError(f"cannot bring '{stream}' to the disk: {error}") from error


def _fsync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
