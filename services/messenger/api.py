"""The messenger's socket: lines in, lines out, files as they are, with caps on lines, connections and time. A desk
answers what is asked.

Who may ask is said by the file's group; what other programs say to one another is for root, the messenger's own user
and those named for the topic, and the kernel says who that is. Places are kept for the trusted: a flood of others keeps
nobody of them out. Of one connection, what came together is dealt with together and answered in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from services.app.line_socket import FULL, LineSocket, Room, is_trusted
from services.app.refusals import Refusals
from services.lines import encode
from services.messenger.api_connection import Connection, Desk
from services.messenger.api_words import Refused
from services.messenger.errors import ApiError

log = logging.getLogger(__name__)

MODE = 0o660
ROOM = Room(all=96, others=64, of_one=48)


class Api:
    def __init__(
        self, path: Path, desk: Desk, *, gid: int | None = None, topics: Mapping[str, frozenset[int]] | None = None
    ) -> None:
        """`gid`: whose members may ask, None: the own group. `topics`: which users may say notes of a topic."""
        self._path, self._desk, self._topics = path, desk, topics or {}
        self.refusals = Refusals(log)
        full = encode(Refused(FULL))
        self._socket = LineSocket(path, self._serve, ROOM, self.refusals, full=full, mode=MODE, gid=gid)

    async def start(self) -> None:
        """Raises ApiError."""
        try:
            await self._socket.start()
        except OSError as error:
            raise ApiError(
                f"cannot listen at '{self._path}': {error.strerror} (name another in messenger.yaml)"
            ) from None

    async def close(self) -> None:
        await self._socket.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: int) -> None:
        allowed = None if is_trusted(uid) else self._allowed(uid)
        await Connection(self._desk, reader, writer, self.refusals, allowed).serve()

    def _allowed(self, uid: int) -> frozenset[str]:
        return frozenset(topic for topic, users in self._topics.items() if uid in users)
