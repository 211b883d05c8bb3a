"""Serves the API on a UNIX or TCP socket: many connections, each with several calls at once, none able to disturb
another.

It knows lines and ids only. What a request means is the injected `answer`'s business, and who may ask is `admit`'s.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import TYPE_CHECKING

import msgspec

from viscript.api.failures import failure_of
from viscript.api.model import Call, ClusterRequest, Failure, Reply, Request, Result
from viscript.api.wire import LineReader, decode_line, encode_line
from viscript.errors import NotForwardedError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Answer = Callable[[Request], Awaitable[Result]]

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
MAX_CALLS = 16
IDLE_DEADLINE_S = 60.0
"""Seconds a connection may stay without a call; a shell connects anew by itself."""

HALF_LINE_DEADLINE_S = 10.0
WRITE_DEADLINE_S = 10.0
CALL_DEADLINE_S = 120.0


class Caller(msgspec.Struct, frozen=True):
    """Who is at the other end, as the kernel tells it: a user on this machine, or an address and port."""

    uid: int | None
    address: str = ""
    port: int = 0


def admit_all(_caller: Caller) -> str:
    """For a socket whose file's mode has decided already."""
    return ""


def cut_off(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reason: str) -> None:
    log.warning("api: connection refused: %s", reason)
    writer.transport.abort()


class ApiServer:
    """`answer` raises ViscriptError or SignalError for what it cannot do. `admit` gives the reason for a refusal, or
    nothing; `refuse` ends such a connection. With `from_boards` the callers are other boards, which may not have
    requests forwarded.
    """

    def __init__(
        self,
        answer: Answer,
        idle_deadline_s: float = IDLE_DEADLINE_S,
        *,
        admit: Callable[[Caller], str] = admit_all,
        refuse: Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], None] = cut_off,
        from_boards: bool = False,
    ) -> None:
        self._answer = _refuse_forwarding(answer) if from_boards else answer
        self._idle_deadline_s = idle_deadline_s
        self._admit = admit
        self._refuse = refuse
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        start = asyncio.start_unix_server if listener.family == socket.AF_UNIX else asyncio.start_server
        self._server = await start(self._accept, sock=listener)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reason := self._find_objection(writer):
            self._refuse(reader, writer, reason)
            return
        conversation = _Conversation(self._answer, self._idle_deadline_s, reader, writer)
        task = asyncio.get_running_loop().create_task(conversation.run())
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    def _find_objection(self, writer: asyncio.StreamWriter) -> str:
        try:
            caller = _read_caller(writer.get_extra_info("socket"))
        except OSError as error:
            return f"nobody is at the other end: {error.strerror}"
        # Root is the supervisor, which must not take a crowd of shells for a dead daemon.
        if len(self._connections) >= MAX_CONNECTIONS and caller.uid != 0:
            return f"{MAX_CONNECTIONS} are open"
        return self._admit(caller)


def _refuse_forwarding(answer: Answer) -> Answer:
    async def refuse_or_answer(request: Request) -> Result:
        if isinstance(request, ClusterRequest):
            raise NotForwardedError("a board answers for itself only: ask the other boards directly")
        return await answer(request)

    return refuse_or_answer


class _Conversation:
    """One connection."""

    def __init__(
        self,
        answer: Answer,
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
        except Exception as error:
            reply = Reply(call.id, error=failure_of(error, type(call.request).__name__))
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


def _read_caller(connection: socket.socket) -> Caller:
    """Who is at the other end, as the kernel noted it. Raises OSError when they are gone."""
    if connection.family != socket.AF_UNIX:
        name = connection.getpeername()
        return Caller(None, name[0], name[1])
    credentials = struct.Struct("3i")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return Caller(int(credentials.unpack(raw)[1]))
