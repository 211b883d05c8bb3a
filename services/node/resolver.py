"""A name server for `.sky` on a loopback address: UDP and TCP, AAAA and TXT. It answers for no other zone.

The TXT record beside an address says whose name it is: `pet` or `vouched`.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from ipaddress import IPv6Address

from services.kernel.model import Endpoint
from services.manager.ending import end_tasks
from services.node import dns_wire
from services.node.dns_wire import LARGEST, Code, Found, Question
from services.node.errors import AwayError, NameUnknownError, RefusedError, ResolverError
from services.node.names import ZONE, Names

log = logging.getLogger(__name__)

TTL_S = 30
MAX_AT_ONCE = 128
MAX_CONNECTIONS = 32
WITHIN_S = 5.0
CONNECTION_S = 15.0

_length = struct.Struct(">H")


class Resolver(asyncio.DatagramProtocol):
    def __init__(self, names: Names) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self.dropped = 0

    async def start(self, at: Endpoint) -> int:
        """The port, which is a free one for port 0. Raises ResolverError."""
        if not at.address.is_loopback:
            raise ResolverError(f"the resolver listens on loopback addresses alone, not on '{at.address}'")
        host, loop = str(at.address), asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, at.port))
            port: int = self._transport.get_extra_info("sockname")[1]
            self._server = await asyncio.start_server(self._connected, host, port)
        except OSError as error:
            await self.close()
            raise ResolverError(f"cannot answer names at '{host}' port {at.port}: {error.strerror}") from None
        return port

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()
        await end_tasks({*self._asking, *self._connections})

    # UDP

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(self._asking) >= MAX_AT_ONCE:
            self.dropped += 1
            return
        task = asyncio.get_running_loop().create_task(self._reply(data, addr))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _reply(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = await self.answer(data)
        if answer is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, addr)

    def error_received(self, exc: Exception) -> None:
        """Somebody did not wait for the answer."""

    # TCP

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            self.dropped += 1
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECTION_S):
                while True:
                    (length,) = _length.unpack(await reader.readexactly(_length.size))
                    if length > LARGEST:
                        return
                    answer = await self.answer(await reader.readexactly(length))
                    if answer is None:
                        return
                    writer.write(_length.pack(len(answer)) + answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return  # they hung up, or took too long
        finally:
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    # questions

    async def answer(self, data: bytes) -> bytes | None:
        question = dns_wire.parse(data)
        if question is None:
            self.dropped += 1
            return None
        if isinstance(question, Code):
            return dns_wire.refuse(data, question)
        if not question.is_internet or question.name.rpartition(".")[2] != ZONE:
            return dns_wire.answer(question, Code.REFUSED)
        return dns_wire.answer(question, *await self._find(question))

    async def _find(self, question: Question) -> tuple[Code, Found | None]:
        if question.name == ZONE:
            return Code.FINE, None
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await self._names.resolve(question.name)
        except NameUnknownError:
            return Code.UNKNOWN_NAME, None
        except (AwayError, RefusedError, TimeoutError) as error:
            log.info("'%s' is not resolved: %s", question.name, error or "no answer in time")
            return Code.FAILED, None
        return Code.FINE, Found(IPv6Address(found.address), found.by, TTL_S)
