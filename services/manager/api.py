"""Serves the manager's socket: root, the manager's own user and those whom manager.yaml names, known by their peer
credentials, and nobody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from services.app.farewell import turn_away
from services.app.line_socket import FULL, LineSocket, Room, answer_lines, is_trusted, uids
from services.app.refusals import Refusals
from services.lines import encode
from services.manager.api_wire import LineReader, read_request
from services.manager.api_words import Refused, Request
from services.manager.errors import ApiError, EngineError, ManagerError

log = logging.getLogger(__name__)

MODE, OPEN_MODE = 0o660, 0o666
"""Open is the socket's file where others may ask too: who, is decided by their credentials."""

ROOM = Room(all=32, others=24, of_one=24)
NOT_YOURS = "this manager answers root, its own user and those whom manager.yaml names as socket_users"
IDLE_S, ANSWER_WITHIN_S, TAKE_WITHIN_S = 300.0, 25.0, 10.0

Handle = Callable[[Request], Awaitable[msgspec.Struct]]
"""Raises ManagerError: the refusal's text."""


class Api:
    def __init__(self, handle: Handle, users: Sequence[str] = ()) -> None:
        self._handle = handle
        self._users = users
        self.refusals = Refusals(log)
        self._socket: LineSocket | None = None

    async def start(self, path: Path) -> None:
        """Raises EngineError."""
        mode = OPEN_MODE if self._users else MODE
        self._socket = LineSocket(path, self._serve, ROOM, self.refusals, full=encode(Refused(FULL)), mode=mode)
        try:
            await self._socket.start()
        except OSError as error:
            raise EngineError(f"cannot listen at '{path}': {error.strerror or error}") from error

    async def stop(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: int) -> None:
        if not is_trusted(uid) and uid not in uids(self._users):
            self.refusals.note("user", f"user {uid} is refused at the manager's socket: {NOT_YOURS}")
            turn_away(writer, encode(Refused(NOT_YOURS)))
            return
        try:
            await answer_lines(reader, writer, LineReader(), self._answer, IDLE_S, TAKE_WITHIN_S)
        except ApiError as error:
            self.refusals.note("line", f"a connection to the manager's socket ends: {error}")
            writer.write(encode(Refused(str(error))))

    async def _answer(self, line: bytes) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return encode(await self._handle(read_request(line)))
        except ManagerError as error:
            return encode(Refused(str(error)))
        except TimeoutError:
            return encode(Refused(f"this took longer than {ANSWER_WITHIN_S:g} s: ask again"))
        except Exception:
            log.exception("a question failed")
            return encode(Refused("the manager made a mistake there: see its log"))
