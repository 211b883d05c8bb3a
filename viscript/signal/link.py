"""Joins a session to an asyncio stream: reads with deadlines, hands events on, writes what the session has
to say.

Both ends use it; it decides nothing. A peer that reads nothing is dropped after `WRITE_DEADLINE_S`, and
while we wait for it nothing more is read from it, so memory per connection stays bounded.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from viscript.signal.errors import LocalError, RemoteError
from viscript.signal.model import READ_DEADLINE_S, Broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from viscript.signal.model import Event
    from viscript.signal.session import Session

HALF_FRAME_DEADLINE_S = 10.0
WRITE_DEADLINE_S = 10.0
CHUNK = 16_384
BUFFER = 65_536


class Link:
    """One connection's session and streams."""

    def __init__(self, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.session = session
        self.read_deadline_s = READ_DEADLINE_S
        self._reader = reader
        self._writer = writer
        self._half_since: float | None = None

    async def run(self, handle: Callable[[Event], None]) -> str:
        """Pump until the connection ends; returns the reason in words. `handle` raises RemoteError to end
        it.
        """
        try:
            while True:
                async with asyncio.timeout(self._patience_s()):
                    data = await self._reader.read(CHUNK)
                if not data:
                    return "closed by the peer"
                for event in self.session.receive(data):
                    if isinstance(event, Broken):
                        return event.reason
                    handle(event)
                await self.flush()
        except TimeoutError:
            return "half a frame, then silence" if self._half_since is not None else "silence"
        except (RemoteError, LocalError) as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)

    def send(self) -> None:
        """Write what the session has to say, without waiting for the peer to take it."""
        output = self.session.take_output()
        if output and not self._writer.is_closing():
            self._writer.write(output)

    async def flush(self) -> None:
        """Send, and wait while the peer is slow."""
        self.send()
        if self._writer.transport.get_write_buffer_size() > BUFFER:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                await self._writer.drain()

    def abort(self) -> None:
        """Close at once; `run` then ends."""
        self.session.close()
        self._writer.transport.abort()

    async def close(self) -> None:
        """Let what was written leave, but not for longer than a slow peer may take."""
        self.session.close()
        self._writer.close()
        try:
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    def _patience_s(self) -> float:
        """Seconds the next read may take; a frame once begun must be finished soon, however it drips."""
        if not self.session.half_frame:
            self._half_since = None
            return self.read_deadline_s
        now = asyncio.get_running_loop().time()
        if self._half_since is None:
            self._half_since = now
        return max(self._half_since + HALF_FRAME_DEADLINE_S - now, 0)
