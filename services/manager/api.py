"""Serves the manager's socket: root, the manager's own user and those whom manager.yaml names, known by their peer
credentials, and nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from services.app.farewell import close, turn_away
from services.app.refusals import Refusals
from services.manager.api_wire import LineReader, encode, read_request
from services.manager.api_words import Refused, Request
from services.manager.ending import end_tasks
from services.manager.errors import ApiError, EngineError, ManagerError
from viscript.signal.peers import make_unix_listener, remove_unix_listener

log = logging.getLogger(__name__)

MODE, OPEN_MODE = 0o660, 0o666
"""Open is the socket's file where others may ask too: who, is decided by their credentials."""

MAX_CONNECTIONS = 32
IDLE_S, ANSWER_WITHIN_S, TAKE_WITHIN_S = 300.0, 25.0, 10.0

_CREDENTIALS = struct.Struct("iII")

Handle = Callable[[Request], Awaitable[msgspec.Struct]]
"""Raises ManagerError: the refusal's text."""


class Api:
    def __init__(self, handle: Handle, users: Sequence[str] = ()) -> None:
        self._handle = handle
        self._users = users
        self.refusals = Refusals(log)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._place: tuple[Path, int] | None = None

    async def start(self, path: Path) -> None:
        """Raises EngineError."""
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            listener, inode = make_unix_listener(path, OPEN_MODE if self._users else MODE)
        except OSError as error:
            raise EngineError(f"cannot listen at '{path}': {error.strerror or error}") from error
        self._place = path, inode
        listener.setblocking(False)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener)

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        await end_tasks(self._tasks)
        await self._server.wait_closed()
        self._server = None
        if self._place is not None:
            remove_unix_listener(*self._place)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if objection := self._find_objection(writer.get_extra_info("socket")):
            cause, why = objection
            self.refusals.note(cause, f"a connection to the manager's socket is refused: {why}")
            turn_away(writer, encode(Refused(why)))
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            writer.transport.abort() if task.cancelled() else close(writer)

        task.add_done_callback(ended)

    def _find_objection(self, end: socket.socket) -> tuple[str, str] | None:
        """The cause, and the sentence."""
        if not self._may_ask(end):
            return "user", "this manager answers root, its own user and those whom manager.yaml names as socket_users"
        if len(self._tasks) >= MAX_CONNECTIONS:
            return "connections", "too many connections: close some, or ask again in a moment"
        return None

    def _may_ask(self, end: socket.socket) -> bool:
        _, uid, _ = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        return uid in {0, os.geteuid()} or uid in set(_uids(self._users))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = LineReader()
        with contextlib.suppress(OSError):
            while True:
                async with asyncio.timeout(IDLE_S):
                    data = await reader.read(4096)
                if not data:
                    return
                try:
                    whole = lines.feed(data)
                except ApiError as error:
                    self.refusals.note("line", f"a connection to the manager's socket ends: {error}")
                    writer.write(encode(Refused(str(error))))
                    return
                for line in whole:
                    writer.write(encode(await self._answer(line)))
                    async with asyncio.timeout(TAKE_WITHIN_S):
                        await writer.drain()

    async def _answer(self, line: bytes) -> msgspec.Struct:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._handle(read_request(line))
        except ManagerError as error:
            return Refused(str(error))
        except TimeoutError:
            return Refused(f"this took longer than {ANSWER_WITHIN_S:g} s: ask again")
        except Exception:
            log.exception("a question failed")
            return Refused("the manager made a mistake there: see its log")


def _uids(names: Sequence[str]) -> Iterator[int]:
    """Looked up each time: a user may be made later."""
    for name in names:
        with contextlib.suppress(KeyError):
            yield pwd.getpwnam(name).pw_uid
