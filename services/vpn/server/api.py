"""The server's own socket, and how its commands ask there. Whoever may enter its folder may ask; nothing is changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.app.farewell import close, turn_away
from services.app.refusals import Refusals
from services.kernel.errors import KernelError
from services.vpn.errors import AskError, StartError, TalkError
from services.vpn.server.api_words import Answer, Clients, Refused, Request, Status, encode, line_reader, read_answer
from services.vpn.server.api_words import read_request as read
from viscript.signal.peers import make_unix_listener, remove_unix_listener

log = logging.getLogger(__name__)

MODE = 0o666
MAX_CONNECTIONS, MAX_REQUEST = 16, 1024
IDLE_S = 10.0
CHUNK = 64 * 1024


class Api:
    def __init__(self, path: Path, answer: Callable[[Request], Awaitable[Answer]]) -> None:
        self._path, self._answer = path, answer
        self._server: asyncio.Server | None = None
        self._inode = 0
        self.refusals = Refusals(log)
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises StartError."""
        try:
            listener, self._inode = make_unix_listener(self._path, MODE)
        except OSError as error:
            raise StartError(f"cannot listen at '{self._path}': {error.strerror} (set another: ram)") from None
        self._server = await asyncio.start_unix_server(self._connected, sock=listener)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            remove_unix_listener(self._path, self._inode)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= MAX_CONNECTIONS:
            self.refusals.note("connections", "too many connections to this server's own socket: one is refused")
            turn_away(writer, encode(Refused("too many connections: ask again in a moment")))
            return
        self._open.add(task)
        try:
            await self._talk(reader, writer)
        except TalkError as error:
            self.refusals.note("line", f"a connection to this server's own socket ends: {error}")
            writer.write(encode(Refused(str(error))))
        except OSError as error:
            log.debug("a connection ends: %s", error or "silent, or slow to read")
        except asyncio.CancelledError:
            log.debug("a connection ends with this program")  # asyncio before 3.12 would tell it as a mistake
        finally:
            self._open.discard(task)
            close(writer) if not task.cancelling() else writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = line_reader(MAX_REQUEST)
        while True:
            async with asyncio.timeout(IDLE_S):
                data = await reader.read(CHUNK)
            if not data:
                return
            for line in lines.feed(data):
                writer.write(encode(await self._answered(line)))
                async with asyncio.timeout(IDLE_S):
                    await writer.drain()

    async def _answered(self, line: bytes) -> Answer:
        try:
            return await self._answer(read(line))
        except (TalkError, KernelError) as error:
            self.refusals.note(type(error).__name__, f"a question at this server's own socket is refused: {error}")
            return Refused(str(error))


def ask(path: Path, request: Request) -> Status | Clients:
    """Without an event loop. Raises AskError."""
    lines = line_reader()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(IDLE_S)
        try:
            end.connect(str(path))
            with contextlib.suppress(BrokenPipeError):  # it may have said why before it stopped listening
                end.sendall(encode(request))
            while data := end.recv(CHUNK):
                for line in lines.feed(data):
                    return read_answer(line)
        except (OSError, TalkError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or "no answer"
            raise AskError(f"no server answers at '{path}': {reason} (run: meshnet-vpn-server run)") from None
    raise AskError(f"the server at '{path}' closed the connection without an answer")
