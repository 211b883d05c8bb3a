"""Serves the API's socket: many connections, each with several calls at once, none able to disturb another.

It knows lines and ids only. What a request means is the injected `answer`'s business.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import TYPE_CHECKING

import msgspec

from viscript.api.model import Call, Failure, Reply, Request, Result
from viscript.api.wire import LineReader, decode_line, encode_line
from viscript.errors import ProtocolError, ViscriptError
from viscript.signal.errors import SignalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
MAX_CALLS = 16
IDLE_DEADLINE_S = 60.0
"""Seconds a connection may stay without a call; a shell connects anew by itself."""

HALF_LINE_DEADLINE_S = 10.0
WRITE_DEADLINE_S = 10.0
CALL_DEADLINE_S = 120.0


class ApiServer:
    """`answer` raises ViscriptError or SignalError for what it cannot do."""

    def __init__(
        self, answer: Callable[[Request], Awaitable[Result]], idle_deadline_s: float = IDLE_DEADLINE_S
    ) -> None:
        self._answer = answer
        self._idle_deadline_s = idle_deadline_s
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_unix_server(self._accept, sock=listener)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Root is the supervisor, which must not take a crowd of shells for a dead daemon.
        if len(self._connections) >= MAX_CONNECTIONS and _read_uid(writer) != 0:
            log.warning("api: connection refused, %d are open", MAX_CONNECTIONS)
            writer.transport.abort()
            return
        conversation = _Conversation(self._answer, self._idle_deadline_s, reader, writer)
        task = asyncio.get_running_loop().create_task(conversation.run())
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)


class _Conversation:
    """One connection."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Result]],
        idle_deadline_s: float,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._answer = answer
        self._idle_deadline_s = idle_deadline_s
        self._reader = reader
        self._writer = writer
        self._lines = LineReader()
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        try:
            await self._read_calls()
            await asyncio.gather(*self._calls)
        except ProtocolError as error:
            log.warning("api: %s", error)
            self._writer.write(encode_line(Reply(0, error=Failure(error.code, str(error)))))
        except TimeoutError:
            log.warning("api: half a line, or a reply not taken, in time")
        except OSError as error:
            log.info("api: connection lost: %s", error)
        except asyncio.CancelledError:
            self._writer.transport.abort()  # the daemon goes: a slow reader must not hold it up
            raise
        finally:
            for call in self._calls:
                call.cancel()
            self._writer.close()

    async def _read_calls(self) -> None:
        while True:
            data = await self._read_chunk()
            if not data:
                return
            for line in self._lines.feed(data):
                call = decode_line(line, Call)
                while len(self._calls) >= MAX_CALLS:
                    await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.get_running_loop().create_task(self._serve(call))
                self._calls.add(task)
                task.add_done_callback(self._calls.discard)

    async def _read_chunk(self) -> bytes:
        """The next bytes; none when the peer has ended, or asks nothing and waits for nothing. Raises TimeoutError for
        half a line.
        """
        while True:
            half = self._lines.half_line
            try:
                async with asyncio.timeout(HALF_LINE_DEADLINE_S if half else self._idle_deadline_s):
                    return await self._reader.read(65_536)
            except TimeoutError:
                if half:
                    raise
                if not self._calls:
                    return b""

    async def _serve(self, call: Call) -> None:
        try:
            async with asyncio.timeout(CALL_DEADLINE_S):
                reply = Reply(call.id, result=msgspec.Raw(msgspec.json.encode(await self._answer(call.request))))
        except ViscriptError as error:
            reply = Reply(call.id, error=Failure(error.code, str(error)))
        except SignalError as error:
            reply = Reply(call.id, error=Failure("no-answer", str(error)))
        except TimeoutError:
            reply = Reply(call.id, error=Failure("no-answer", f"not done within {CALL_DEADLINE_S:g} s"))
        except Exception:
            log.exception("api: %s failed", type(call.request).__name__)
            reply = Reply(call.id, error=Failure("failed", "the daemon made an error, see its log"))
        await self._send(reply)

    async def _send(self, reply: Reply) -> None:
        if self._writer.is_closing():
            return
        self._writer.write(encode_line(reply))
        try:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                await self._writer.drain()
        except (TimeoutError, OSError) as error:
            log.warning("api: a reply was not taken: %s", error or "too slow")
            self._writer.transport.abort()


def _read_uid(writer: asyncio.StreamWriter) -> int:
    """The user at the other end, as the kernel noted it."""
    credentials = struct.Struct("3i")
    raw = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return int(credentials.unpack(raw)[1])
