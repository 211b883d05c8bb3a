"""The messenger's socket: lines in, lines out, files as they are, with caps on lines, connections and time. A desk
answers what is asked.

Who may ask is said by the file's group; what other programs say to one another is for root, the messenger's own user
and those named for the topic, and the kernel says who that is. Places are kept for the trusted: a flood of others keeps
nobody of them out. Of one connection, what came together is dealt with together and answered in order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from services.app.farewell import close, turn_away
from services.app.refusals import Refusals
from services.manager.ending import end_tasks
from services.messenger.api_connection import Connection, Desk
from services.messenger.api_wire import encode
from services.messenger.api_words import Refused
from services.messenger.errors import ApiError
from viscript.signal.peers import make_unix_listener, remove_unix_listener

log = logging.getLogger(__name__)

MODE = 0o660
MAX_CONNECTIONS, MAX_OTHERS, MAX_OF_ONE = 96, 64, 48

_credentials = struct.Struct("iII")


class Api:
    def __init__(
        self, path: Path, desk: Desk, *, gid: int | None = None, topics: Mapping[str, frozenset[int]] | None = None
    ) -> None:
        """`gid`: whose members may ask, None: the own group. `topics`: which users may say notes of a topic."""
        self._path, self._desk, self._gid, self._topics = path, desk, gid, topics or {}
        self._inode = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._of: Counter[int] = Counter()
        self.refusals = Refusals(log)

    async def start(self) -> None:
        """Raises ApiError."""
        try:
            self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            listener, self._inode = make_unix_listener(self._path, MODE, self._gid)
        except OSError as error:
            raise ApiError(
                f"cannot listen at '{self._path}': {error.strerror} (name another in messenger.yaml)"
            ) from None
        self._server = await asyncio.start_unix_server(self._connected, sock=listener)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            remove_unix_listener(self._path, self._inode)
        await end_tasks(self._connections)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = _uid(writer)
        others = sum(count for other, count in self._of.items() if not is_trusted(other))
        too_many = len(self._connections) >= MAX_CONNECTIONS or self._of[uid] >= MAX_OF_ONE
        if too_many or (not is_trusted(uid) and others >= MAX_OTHERS):
            self.refusals.note("connections", f"user {uid} has too many connections to the messenger's socket")
            turn_away(writer, encode(Refused("too many connections: close some, or ask again in a moment")))
            return
        self._of[uid] += 1
        connection = Connection(
            self._desk, reader, writer, self.refusals, None if is_trusted(uid) else self._allowed(uid)
        )
        task = asyncio.get_running_loop().create_task(connection.serve())
        self._connections.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._connections.discard(task)
            self._of[uid] -= 1
            if not self._of[uid]:
                del self._of[uid]
            writer.transport.abort() if task.cancelled() else close(writer)
            if not task.cancelled() and task.exception() is not None:
                log.error("a connection failed", exc_info=task.exception())

        task.add_done_callback(ended)

    def _allowed(self, uid: int) -> frozenset[str]:
        return frozenset(topic for topic, users in self._topics.items() if uid in users)


def is_trusted(uid: int) -> bool:
    return uid in {0, os.geteuid()}


def _uid(writer: asyncio.StreamWriter) -> int:
    """Nobody's, where the other end has left already."""
    end = writer.get_extra_info("socket")
    try:
        data = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _credentials.size)
    except OSError:
        return 65534
    return int(_credentials.unpack(data)[1])
