"""One connection with another messenger, after both have said who they are. It knows nothing of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from services.app.farewell import close
from services.keys import NodeId
from services.messenger.errors import WireError
from services.messenger.wire import Bye, FrameReader, Hello, Post, Word, frame

HELLO_WITHIN_S, HALF_FRAME_S, IDLE_S, WRITE_WITHIN_S = 5.0, 15.0, 90.0, 20.0
CHUNK = 64 * 1024
MOST_UNTAKEN = 512
"""Posts of a link that may wait for the disk; then it is read no further."""

MOST_UNREAD = 4 << 20
"""Bytes that the other end may leave unread."""


class Exchange(Protocol):
    """To whom links hand what comes."""

    def take(self, link: Link, posts: Sequence[Post]) -> Awaitable[None]:
        """Takes its place at once; done when they were answered."""

    def hear(self, link: Link, word: Word) -> None:
        """What is no post. Raises WireError for what may not be said."""

    def link_up(self, link: Link) -> None: ...

    def link_down(self, link: Link) -> None: ...


class Link:
    """`is_open` until either end has ended it; `objection`, of fixed words: why this end did; `keeping` counts what it
    deposits and is not on the disk yet.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: FrameReader, hello: Hello
    ) -> None:
        self._reader, self._writer, self._frames = reader, writer, frames
        self.hello = hello
        self.peer: NodeId = hello.node_id
        self.is_open = True
        self.objection = ""
        self.keeping = 0
        self._unsaid: list[bytes] = []
        self._taking: set[asyncio.Future[None]] = set()
        self._untaken = 0
        self._room = asyncio.Event()

    def say(self, word: Word) -> None:
        """Words of one turn of the loop leave together."""
        if not self.is_open:
            return
        if not self._unsaid:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsaid.append(frame(word))

    def _flush(self) -> None:
        data, self._unsaid = b"".join(self._unsaid), []
        if self.is_open and data:
            self._writer.write(data)
            if self._writer.transport.get_write_buffer_size() > MOST_UNREAD:
                self.end("you do not read what you are sent")
                self._writer.transport.abort()

    async def drained(self) -> None:
        """Until what was said has mostly left. Raises OSError."""
        self._flush()
        async with asyncio.timeout(WRITE_WITHIN_S):
            await self._writer.drain()

    def end(self, why: str = "") -> None:
        if self.is_open:
            if why:
                self._writer.write(frame(Bye(why[:200])))
            self.is_open, self.objection = False, why
            close(self._writer)

    async def serve(self, exchange: Exchange, first: list[Word]) -> None:
        """Until it ends. Raises WireError where the other end broke a rule, OSError where it is silent or gone."""
        await self._deal(exchange, first)
        while self.is_open:
            async with asyncio.timeout(HALF_FRAME_S if self._frames.half_frame else IDLE_S):
                data = await self._reader.read(CHUNK)
            if not data:
                return
            await self._deal(exchange, self._frames.feed(data))

    async def _deal(self, exchange: Exchange, words: list[Word]) -> None:
        posts = [word for word in words if isinstance(word, Post)]
        if posts:
            self._untaken += len(posts)
            taking = asyncio.ensure_future(exchange.take(self, posts))
            self._taking.add(taking)
            taking.add_done_callback(lambda done: self._taken(done, len(posts)))
        for word in words:
            if isinstance(word, Bye):
                raise ConnectionAbortedError(f"the other end says: {word.why!a}")
            if isinstance(word, Hello):
                raise WireError("hello was said already")
            if not isinstance(word, Post):
                exchange.hear(self, word)
        while self._untaken > MOST_UNTAKEN:
            self._room.clear()
            await self._room.wait()

    def _taken(self, done: asyncio.Future[None], count: int) -> None:
        self._taking.discard(done)
        self._untaken -= count
        self._room.set()
        if not done.cancelled() and done.exception() is not None:
            self.end("it cannot be written down here now")


async def greet(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own: Hello
) -> tuple[FrameReader, Hello, list[Word]]:
    """Says hello, and hears it. Raises WireError, OSError."""
    frames = FrameReader()
    writer.write(frame(own))
    async with asyncio.timeout(HELLO_WITHIN_S):
        words: list[Word] = []
        while not words:
            data = await reader.read(CHUNK)
            if not data:
                raise ConnectionResetError("the other end left without a word")
            words = frames.feed(data)
    hello, *rest = words
    if isinstance(hello, Bye):
        raise ConnectionAbortedError(f"the other end says: {hello.why!a}")
    if not isinstance(hello, Hello):
        raise WireError("hello comes first")
    if hello.version != own.version:
        raise WireError(f"version {hello.version} is not spoken here, only {own.version}")
    return frames, hello, rest
