"""A program's own UNIX socket, where it answers lines: who connects, how many at once, and how a connection ends.

The kernel tells whose each connection is. Places are kept for root and the program's own user, so that a flood of
others keeps nobody of them out. What is said on a connection is the program's own; `answer_lines` is the plain way, one
question after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from services.app.farewell import close, turn_away
from services.app.refusals import Refusals
from services.lines import LineReader
from services.manager.ending import end_tasks
from viscript.signal.peers import make_unix_listener, remove_unix_listener

log = logging.getLogger(__name__)

CHUNK = 16 * 1024
FULL = "too many connections: close some, or ask again in a moment"

_credentials = struct.Struct("iII")
_NOBODY = 65534


class Room(NamedTuple):
    """How many connections there may be: in all, of users who are not trusted, and of one user."""

    all: int
    others: int
    of_one: int


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
"""One connection of the user with that id, to its end."""


class LineSocket:
    def __init__(
        self,
        path: Path,
        serve: Serve,
        room: Room,
        refusals: Refusals,
        *,
        full: bytes,
        mode: int,
        gid: int | None = None,
    ) -> None:
        """`full` is said to whom there is no room for; `gid` is the group of the socket's file, None: the own."""
        self._path, self._serve, self._room, self._refusals = path, serve, room, refusals
        self._full, self._mode, self._gid = full, mode, gid
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._of: Counter[int] = Counter()

    @property
    def connections(self) -> int:
        """Those that are open now."""
        return len(self._tasks)

    async def start(self) -> None:
        """Raises OSError."""
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        listener, self._inode = make_unix_listener(self._path, self._mode, self._gid)
        self._server = await asyncio.start_unix_server(self._connected, sock=listener)

    async def close(self, patience_s: float = 0.0) -> None:
        """Whoever is being answered is answered first, for as long as `patience_s`."""
        if self._server is None:
            return
        self._server.close()
        remove_unix_listener(self._path, self._inode)
        if self._tasks and patience_s:
            await asyncio.wait(self._tasks, timeout=patience_s)
        await end_tasks(self._tasks)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer)
        if not self._has_room(uid):
            self._refusals.note("connections", f"user {uid} has too many connections to '{self._path}'")
            turn_away(writer, self._full)
            return
        self._of[uid] += 1
        task = asyncio.get_running_loop().create_task(self._run(reader, writer, uid))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._of[uid] -= 1
            if not self._of[uid]:
                del self._of[uid]
            writer.transport.abort() if task.cancelled() else close(writer)
            if not task.cancelled() and task.exception() is not None:
                log.error("a connection failed", exc_info=task.exception())

        task.add_done_callback(ended)

    def _has_room(self, uid: int) -> bool:
        if len(self._tasks) >= self._room.all or self._of[uid] >= self._room.of_one:
            return False
        others = sum(count for other, count in self._of.items() if not is_trusted(other))
        return is_trusted(uid) or others < self._room.others

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: int) -> None:
        try:
            await self._serve(reader, writer, uid)
        except OSError as error:
            log.debug("a connection ends: %s", error or "silent, or slow to read")


async def answer_lines(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    lines: LineReader,
    answer: Callable[[bytes], Awaitable[bytes]],
    idle_s: float,
    taken_within_s: float = 10.0,
) -> None:
    """One question after the other until the other end leaves. Raises TimeoutError where it is silent or does not read,
    and what `lines` raises for a line that is too long.
    """
    while True:
        async with asyncio.timeout(idle_s):
            data = await reader.read(CHUNK)
        if not data:
            return
        for line in lines.feed(data):
            writer.write(await answer(line))
            async with asyncio.timeout(taken_within_s):
                await writer.drain()


def is_trusted(uid: int) -> bool:
    """Root, and the program's own user."""
    return uid in {0, os.geteuid()}


def uids(names: Iterable[str]) -> set[int]:
    """As this machine knows them now; a name that it does not know is nobody's."""
    found = set()
    for name in names:
        with contextlib.suppress(KeyError):
            found.add(pwd.getpwnam(name).pw_uid)
    return found


def peer_uid(writer: asyncio.StreamWriter) -> int:
    """Whose the other end is; nobody's, where it has left already."""
    end = writer.get_extra_info("socket")
    try:
        data = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _credentials.size)
    except OSError:
        return _NOBODY
    return int(_credentials.unpack(data)[1])
