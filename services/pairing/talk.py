"""The connection between two boards that pair, over TCP on the local network: whole lines, both ways. One at a time is
the pairing's; strangers are let say one line each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from services.lines import LineReader
from services.pairing.errors import DoorError, TalkError
from services.pairing.words import MAX_LINE

log = logging.getLogger(__name__)

CHUNK = 4096
FIRST_WITHIN_S, DIAL_WITHIN_S, SENT_WITHIN_S = 5.0, 4.0, 3.0
MAX_STRANGERS, MAX_OF_ONE = 16, 2
"""At once, and from one address: who floods shuts nobody else out."""

ANYWHERE = "0.0.0.0"  # noqa: S104 (the firewall lets it in, and as long as the window is open)


class Talk:
    """One connection. `own` is this board's address on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._lines = LineReader(MAX_LINE, TalkError)
        self._waiting: list[bytes] = []
        name = writer.get_extra_info("sockname")
        self.own = str(name[0]) if name else ""

    async def line(self) -> bytes:
        """The next; b"" where the other end has left. Raises TalkError, OSError."""
        while not self._waiting:
            data = await self._reader.read(CHUNK)
            if not data:
                return b""
            self._waiting += self._lines.feed(data)
        return self._waiting.pop(0)

    async def send(self, data: bytes) -> None:
        """Raises OSError."""
        self._writer.write(data)
        async with asyncio.timeout(SENT_WITHIN_S):
            await self._writer.drain()

    async def close(self) -> None:
        """After what was sent is there, or soon."""
        with contextlib.suppress(OSError, RuntimeError):
            async with asyncio.timeout(SENT_WITHIN_S):
                self._writer.write_eof()
                while await self._reader.read(CHUNK):
                    pass
        self._writer.transport.abort()


class Listener:
    """`came` is given each stranger's connection and first line, and says whether it keeps the connection."""

    def __init__(self, came: Callable[[Talk, bytes], Awaitable[bool]]) -> None:
        self._came = came
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._of: Counter[str] = Counter()

    async def start(self, port: int) -> None:
        """Raises DoorError."""
        try:
            self._server = await asyncio.start_server(
                self._connected, ANYWHERE, port, limit=CHUNK, family=socket.AF_INET, backlog=16
            )
        except OSError as error:
            raise DoorError(f"cannot listen for the other board at TCP port {port}: {error.strerror}") from None

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = writer.get_extra_info("peername")
        address = str(name[0]) if name else ""
        if len(self._tasks) >= MAX_STRANGERS or self._of[address] >= MAX_OF_ONE:
            writer.transport.abort()
            return
        self._of[address] += 1
        task = asyncio.get_running_loop().create_task(self._serve(Talk(reader, writer), writer))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._of[address] -= 1

        task.add_done_callback(ended)

    async def _serve(self, talk: Talk, writer: asyncio.StreamWriter) -> None:
        is_kept = False
        try:
            async with asyncio.timeout(FIRST_WITHIN_S):
                line = await talk.line()
            is_kept = bool(line) and await self._came(talk, line)
        except (OSError, TalkError) as error:
            log.debug("a stranger's connection ends: %s", error or "silent")
        finally:
            if not is_kept:
                writer.transport.abort()


async def dial(addresses: Sequence[str], port: int) -> Talk:
    """The first that answers. Raises DoorError."""
    reason = "it says no address on a network that this board is on"
    for address in addresses:
        try:
            async with asyncio.timeout(DIAL_WITHIN_S):
                reader, writer = await asyncio.open_connection(address, port, limit=CHUNK)
        except OSError as error:
            reason = f"{address}: {error.strerror or 'no answer'}"
            continue
        return Talk(reader, writer)
    raise DoorError(f"the other board cannot be reached ({reason})")
