"""Serves the directory over TCP, the mesh beside it: caps on connections and lines, a deadline for every wait."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

from services.app.farewell import close, turn_away
from services.app.refusals import Refusals
from services.apptracker.errors import RefusedError, WireError
from services.apptracker.model import Answer, Entries, Query, Refusal
from services.apptracker.wire import LineReader, encode, encode_plain, is_plain, read_request

if TYPE_CHECKING:
    from services.apptracker.brain import Directory
    from services.apptracker.view import MeshView

log = logging.getLogger(__name__)

MAX_CONNECTIONS, MAX_PER_CLIENT = 256, 64
IDLE_DEADLINE_S = 120.0
HALF_LINE_DEADLINE_S = 10.0
WRITE_DEADLINE_S = 10.0
EXPIRE_INTERVAL_S = 30.0


class TrackerServer:
    """Answers from one directory, in one event loop; `mesh` is what it shows beside that, if anything."""

    def __init__(self, directory: Directory, mesh: MeshView | None = None) -> None:
        self._directory, self._mesh = directory, mesh
        self._refusals = Refusals(log)
        self._news = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._per_client: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._expiring: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; port 0 takes a free one. Returns what was taken. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, host, port)
        self._expiring = asyncio.get_running_loop().create_task(self._expire())
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    async def wait_news(self) -> None:
        """Until somebody registered, or a lease ended."""
        await self._news.wait()
        self._news.clear()

    async def close(self) -> None:
        if self._server is None or self._expiring is None:
            return
        self._server.close()
        tasks = (self._expiring, *self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _expire(self) -> None:
        """Entries also go when nobody asks, so that memory follows the leases."""
        while True:
            await asyncio.sleep(EXPIRE_INTERVAL_S)
            self._directory.expire(time.monotonic())
            self._news.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = writer.get_extra_info("peername")
        client = name[0] if name else ""
        full = len(self._connections) >= MAX_CONNECTIONS or self._per_client[client] >= MAX_PER_CLIENT
        if full or not client:
            self._refusals.note("connections", f"connection of {client} refused: there are too many")
            turn_away(writer, encode(Refusal("too many connections: close some, or ask again in a moment")))
            return
        self._per_client[client] += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, client))
        self._connections.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._connections.discard(task)
            self._per_client[client] -= 1
            if not self._per_client[client]:
                del self._per_client[client]
            writer.transport.abort() if task.cancelled() else close(writer)

        task.add_done_callback(ended)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str) -> None:
        lines = LineReader()
        try:
            while True:
                patience_s = HALF_LINE_DEADLINE_S if lines.half_line else IDLE_DEADLINE_S
                async with asyncio.timeout(patience_s):
                    data = await reader.read(4096)
                if not data:
                    return
                for line in lines.feed(data):
                    writer.write(await self.answer(line, client))
                    async with asyncio.timeout(WRITE_DEADLINE_S):
                        await writer.drain()
        except WireError as error:
            self._refusals.note("lines", f"{client}: {error}")
            writer.write(encode(Refusal(str(error))))
        except TimeoutError:
            self._refusals.note("silent", f"{client}: silent, or slow to read")
        except OSError as error:
            log.debug("%s: %s", client, error)

    async def answer(self, line: bytes, client: str) -> bytes:
        """In the manner of the question. Raises WireError; a refusal is an answer like another."""
        request = read_request(line)
        answer: Answer
        try:
            answer = self._directory.answer(request, client, time.monotonic())
        except RefusedError as error:
            self._refusals.note("requests", f"{client}: {error}")
            answer = Refusal(str(error))
        if not isinstance(request, Query):
            self._news.set()
        elif self._mesh is not None and isinstance(answer, Entries):
            answer = await self._mesh.beside(answer, request)
        return encode_plain(answer) if is_plain(line) else encode(answer)
