"""Boards at the other end of a real TCP connection, each good or bad in its own way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from viscript.api.model import Failure, Status
from viscript.signal.model import Address

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

STATUS = Status(
    version="1", pid=7, uptime_s=1.0, apps=2, running=1, connected=1, signal_address="127.0.0.1:7999", config="c"
)


class _Any(msgspec.Struct):
    id: int


class Answer(msgspec.Struct, omit_defaults=True):
    id: int
    result: object = None
    error: Failure | None = None


async def read_id(reader: asyncio.StreamReader) -> int:
    """The id of the next call; EOFError when there is none."""
    line = await reader.readuntil(b"\n")
    return msgspec.json.decode(line, type=_Any).id


def answer_line(call_id: int, result: object = STATUS) -> bytes:
    return msgspec.json.encode(Answer(call_id, result)) + b"\n"


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(answer_line(await read_id(reader)))


async def answer_never(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


def say(*lines: bytes) -> Script:
    """Answers the first call with these bytes, then listens."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_id(reader)
        writer.writelines(lines)
        await reader.read(-1)

    return script


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Writes without end a line that has none."""
    await read_id(reader)
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers a letter at a time, and never gets to the end of the line."""
    line = answer_line(await read_id(reader), result=STATUS)
    for letter in line[:-1] + b" " * 10_000:
        writer.write(bytes([letter]))
        await asyncio.sleep(0.05)


class Peer:
    """A listening board; `dialled` counts the connections it got."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.dialled = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> Address:
        assert self._server is not None
        return Address("127.0.0.1", self._server.sockets[0].getsockname()[1])

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled += 1
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self.script(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._open.discard(task)


@contextlib.asynccontextmanager
async def run_peer(script: Script) -> AsyncIterator[Peer]:
    peer = Peer(script)
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()
