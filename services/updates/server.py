"""Serves bundles to the boards of this manager's own network, over the mesh: ranges straight from the object store.

    GET /updates/current           {"sha256":"…","size":…,"version":"…","compatible":"…"}
    GET /updates/<sha256>.raucb    the bundle, or a range of it

The bytes pass through Python, other than users' traffic, which never does: this is the network's own control, some
hundred megabytes now and then, of which a board takes a few at a time. Who asks is known by the source address, which
on the mesh is the key; the firewall lets members alone come here, and `is_member` looks once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from services.app.farewell import turn_away
from services.app.refusals import Refusals
from services.manager.ending import end_tasks
from services.manager.errors import BusError, EngineError
from services.updates import ranges
from services.updates.errors import RequestError
from services.updates.model import Bundle
from services.updates.objects import CHUNK, Meta, Objects

log = logging.getLogger(__name__)

IDLE_S, TAKE_WITHIN_S = 120.0, 60.0
MAX_CONNECTIONS, MAX_OF_ONE = 512, 64
"""RAUC opens a connection for each read that its kernel has under way."""

MAX_READS = 16
"""Pieces fetched from the store at once, whoever asked."""

MAX_PIECES, PIECES_OF_ONE = 128, 8
"""Pieces in RAM at once, until who asked has taken them: 16 MiB together, 1 MiB for one member."""

META_KEPT_S = 10.0
PIECE = 2 * CHUNK

_BUNDLE = re.compile(r"/updates/([0-9a-f]{64})\.raucb")

Address = IPv4Address | IPv6Address


class Server:
    """`current` is the bundle of the last roll-out. `sent` counts bytes of bundles; `unsent` are those in RAM."""

    def __init__(
        self, objects: Objects, current: Callable[[], Bundle | None], is_member: Callable[[Address], bool]
    ) -> None:
        self._objects, self._current, self._is_member = objects, current, is_member
        self._metas: dict[str, tuple[Meta, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._of: Counter[Address] = Counter()
        self._server: asyncio.Server | None = None
        self._turns, self._pieces = asyncio.Semaphore(MAX_READS), asyncio.Semaphore(MAX_PIECES)
        self._shares: dict[Address, asyncio.Semaphore] = {}
        self._refusals = Refusals(log)
        self.sent = self.unsent = 0

    async def start(self, at: Address, port: int) -> None:
        """Raises EngineError."""
        try:
            self._server = await asyncio.start_server(self._accept, str(at), port, limit=ranges.MAX_HEAD)
        except OSError as error:
            raise EngineError(f"cannot listen at '{at}' port {port} for updates: {error.strerror}") from error

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await end_tasks(self._tasks)
            await self._server.wait_closed()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        who: Address = ip_address(writer.get_extra_info("peername")[0])
        error = self._objection(who)
        if error is not None:
            self._refusals.note(str(error.code), f"'{who}' gets no update: {error}")
            turn_away(writer, ranges.refuse(error))
            return
        self._of[who] += 1
        share = self._shares.setdefault(who, asyncio.Semaphore(PIECES_OF_ONE))
        writer.transport.set_write_buffer_limits(
            high=0
        )  # what is drained is in RAM no longer, nor waits in the kernel's
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, CHUNK)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, share))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._of -= Counter((who,))
            if who not in self._of:
                self._shares.pop(who, None)
            writer.transport.abort() if task.cancelled() else writer.close()

        task.add_done_callback(ended)

    def _objection(self, who: Address) -> RequestError | None:
        if not self._is_member(who):
            return RequestError(403, "updates are for members of this network (see: manager admit)")
        if len(self._tasks) >= MAX_CONNECTIONS or self._of[who] >= MAX_OF_ONE:
            return RequestError(503, "too many connections: close some, or ask again in a moment")
        return None

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, share: asyncio.Semaphore
    ) -> None:
        with contextlib.suppress(OSError):  # gone, or silent: TimeoutError is one
            stays = True
            while stays:
                try:
                    stays = await self._answer(await self._next(reader), writer, share)
                except EOFError:
                    return
                except RequestError as error:
                    writer.write(ranges.refuse(error))
                    stays = False
                async with asyncio.timeout(TAKE_WITHIN_S):
                    await writer.drain()

    async def _next(self, reader: asyncio.StreamReader) -> ranges.Request:
        try:
            async with asyncio.timeout(IDLE_S):
                return ranges.read_head(await reader.readuntil(ranges.HEAD_END))
        except asyncio.LimitOverrunError:
            raise RequestError(431, f"more than {ranges.MAX_HEAD} bytes of header") from None

    async def _answer(self, request: ranges.Request, writer: asyncio.StreamWriter, share: asyncio.Semaphore) -> bool:
        """Whether the connection stays."""
        if request.path == "/updates/current":
            bundle = self._current()
            if bundle is None:
                raise RequestError(404, "no bundle is there yet (manager update start FILE)")
            writer.write(ranges.answer_text(request, msgspec.json.encode(bundle)))
            return request.stays
        meta = await self._find(request.path)
        reply = ranges.answer(request, meta.size, meta.name)
        writer.write(reply.head)
        for start in range(reply.start, reply.stop, PIECE):
            try:
                async with share, self._pieces:
                    await self._send(meta, start, min(start + PIECE, reply.stop), writer)
            except BusError as error:
                log.warning("a bundle is sent in part: %s", error)
                self._metas.pop(meta.name, None)
                return False
        return request.stays

    async def _send(self, meta: Meta, start: int, stop: int, writer: asyncio.StreamWriter) -> None:
        """One piece, until the other side's window took all of it. Raises BusError, OSError."""
        self.unsent += stop - start
        try:
            async with self._turns:
                data = await self._objects.read(meta, start, stop)
            writer.write(data)
            self.sent += len(data)
            async with asyncio.timeout(TAKE_WITHIN_S):
                await writer.drain()
        finally:
            self.unsent -= stop - start

    async def _find(self, path: str) -> Meta:
        """Raises RequestError."""
        named = _BUNDLE.fullmatch(path)
        if named is None:
            raise RequestError(404, "there is /updates/current, and /updates/<sha256>.raucb")
        meta, until_s = self._metas.get(named[1], (None, 0.0))
        if meta is None or time.monotonic() > until_s:
            try:
                meta = await self._objects.find(named[1])
            except BusError as error:
                raise RequestError(503, str(error)) from None
            if meta is None:
                self._metas.pop(named[1], None)
                raise RequestError(404, "that bundle is not here, or no longer")
            self._metas = {named[1]: (meta, time.monotonic() + META_KEPT_S)}
        return meta
