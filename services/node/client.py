"""Asks the node on this machine over its UNIX socket, in an event loop; `line` does it without one.

What was published is withdrawn when the connection it was asked on is closed, so whoever publishes keeps it open.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from services.app.asking_line import CHUNK
from services.app.farewell import hear_out
from services.lines import encode
from services.node.api_wire import LineReader, read_answer
from services.node.api_words import MAX_ANSWER
from services.node.errors import NodeAwayError
from services.node.line import ANSWER_WITHIN_S, Line, ask_once, away
from services.node.places import usual_socket

CONNECT_WITHIN_S = 5.0

T = TypeVar("T", bound=msgspec.Struct)


class NodeClient:
    """One connection; questions of several tasks are asked in turn. After a NodeAwayError or ApiError make another."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or usual_socket()
        self._turn = asyncio.Lock()
        self._lines = LineReader(MAX_ANSWER)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Raises NodeAwayError."""
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                self._reader, self._writer = await asyncio.open_unix_connection(self._path)
        except OSError as error:
            raise away(self._path, error) from None

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = self._reader = None

    async def ask(self, request: msgspec.Struct, kind: type[T], within_s: float = ANSWER_WITHIN_S) -> T:
        """Raises NodeRefusedError, NodeAwayError, ApiError."""
        async with self._turn:
            if self._reader is None or self._writer is None:
                raise NodeAwayError(f"no connection to the node at '{self._path}': start one first")
            try:
                async with asyncio.timeout(within_s):
                    self._writer.write(encode(request))
                    if not hear_out(self._reader, self._writer):
                        await self._writer.drain()
                    line = await self._line(self._reader)
            except OSError as error:
                await self.close()
                raise away(self._path, error) from None
            except BaseException:  # the answer may still come, and would be taken for that to the next question
                await self.close()
                raise
        return read_answer(line, kind)

    @property
    def is_gone(self) -> bool:
        """Whether the node has closed the connection, or nobody has opened it."""
        return self._reader is None or self._reader.at_eof()

    async def wait_gone(self) -> None:
        """Until the node closes the connection, and with it ends what was published. Ask nothing meanwhile."""
        async with self._turn:
            while self._reader is not None and await self._reader.read(CHUNK):
                pass

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        while data := await reader.read(CHUNK):
            for line in self._lines.feed(data):
                return line
        raise away(self._path, None)


__all__ = ["Line", "NodeClient", "ask_once"]
