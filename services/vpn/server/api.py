"""The server's own socket, and how its commands ask there. Whoever may enter its folder may ask; nothing is changed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from services.kernel.errors import KernelError
from services.vpn.errors import AskError, StartError, TalkError
from services.vpn.server.api_words import Answer, Clients, Refused, Request, Status, encode, line_reader, read_answer
from services.vpn.server.api_words import read_request as read
from viscript.signal.peers import make_unix_listener, remove_unix_listener

MODE = 0o666
MAX_CONNECTIONS, MAX_REQUEST = 16, 1024
IDLE_S = 10.0
CHUNK = 64 * 1024


class Api:
    def __init__(self, path: Path, answer: Callable[[Request], Awaitable[Answer]]) -> None:
        self._path, self._answer = path, answer
        self._server: asyncio.Server | None = None
        self._inode = 0
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
            writer.transport.abort()
            return
        self._open.add(task)
        try:
            with suppress(OSError, TalkError):
                await self._talk(reader, writer)
        finally:
            self._open.discard(task)
            writer.close() if not task.cancelling() else writer.transport.abort()

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
            return Refused(str(error))


def ask(path: Path, request: Request) -> Status | Clients:
    """Without an event loop. Raises AskError."""
    lines = line_reader()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(IDLE_S)
        try:
            end.connect(str(path))
            end.sendall(encode(request))
            while data := end.recv(CHUNK):
                for line in lines.feed(data):
                    return read_answer(line)
        except (OSError, TalkError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or "no answer"
            raise AskError(f"no server answers at '{path}': {reason} (run: meshnet-vpn-server run)") from None
    raise AskError(f"the server at '{path}' closed the connection without an answer")
