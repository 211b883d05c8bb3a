"""The node's socket: lines in, lines out, with caps on lines, connections and time. A desk answers what is asked.

Anybody who reaches the socket's folder may connect, find and publish; what is for some alone says `access`. The kernel
tells who asks. Places are kept for root and the node's own user: a flood of others keeps no manager out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec

from services.app.line_socket import CHUNK, FULL, LineSocket, Room, is_trusted
from services.app.refusals import Refusals
from services.lines import encode
from services.manager.limits import Limits
from services.node.api_wire import LineReader, read_request
from services.node.api_words import Answer, Carry, Held, Outside, Publish, Refused, Request, Uncarry
from services.node.errors import ApiError

log = logging.getLogger(__name__)

MODE = 0o666
ROOM = Room(all=256, others=192, of_one=64)
MAX_PUBLISHED = 32
"""By one connection."""

IDLE_S, HALF_LINE_S, WRITE_WITHIN_S, ANSWER_WITHIN_S = 120.0, 10.0, 10.0, 40.0
PER_S, BURST, SLOWER_S = 20.0, 60, 0.05


class Desk(Protocol):
    def answer(self, request: Request) -> Awaitable[Answer]:
        """Raises NodeError or another error with the sentence to tell, of `told_errors`."""

    def let_go(self, held: Held) -> Awaitable[None]:
        """The connection it was asked on has ended."""

    @property
    def told_errors(self) -> tuple[type[Exception], ...]: ...


class Api:
    def __init__(self, path: Path, desk: Desk, refusal: Callable[[int, Request], str]) -> None:
        """`refusal` says why a user may not ask something, or nothing."""
        self._path, self._desk, self._refusal = path, desk, refusal
        self.refusals = Refusals(log)
        full = encode(Refused(FULL))
        self._socket = LineSocket(path, self._serve, ROOM, self.refusals, full=full, mode=MODE)

    async def start(self) -> None:
        """Raises ApiError."""
        try:
            await self._socket.start()
        except OSError as error:
            raise ApiError(f"cannot listen at '{self._path}': {error.strerror} (name another in node.yaml)") from None

    async def close(self) -> None:
        """What was published stays open in the firewall for whoever starts next."""
        await self._socket.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: int) -> None:
        await _Connection(self._desk, self._refusal, self.refusals, uid).serve(reader, writer)


class _Connection:
    def __init__(self, desk: Desk, refusal: Callable[[int, Request], str], refusals: Refusals, uid: int) -> None:
        self._desk, self._refusal, self._refusals, self._uid = desk, refusal, refusals, uid
        self._limits = Limits(PER_S, BURST, most=1)
        self._lines = LineReader()
        self._held: list[Held] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await self._read(reader):
                for line in self._lines.feed(data):
                    await self._pace()
                    writer.write(encode(await self._answer(line)))
                    async with asyncio.timeout(WRITE_WITHIN_S):
                        await writer.drain()
        except ApiError as error:
            self._refusals.note("line", f"user {self._uid}: a connection to the node's socket ends: {error}")
            writer.write(encode(Refused(str(error), asked_wrongly=True)))
        except OSError as error:
            log.debug("a connection ends: %s", error or "silent, or slow to read")
        await self._let_go()

    async def _pace(self) -> None:
        """Who asks too fast waits, alone: a manager that lets in a hundred nodes at once does not."""
        await asyncio.sleep(0)
        while not is_trusted(self._uid):
            if self._limits.allows("", time.monotonic()):
                return
            await asyncio.sleep(SLOWER_S)

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        """Who holds something published, carried or opened may be silent for ever."""
        patience_s = HALF_LINE_S if self._lines.half_line else None if self._held else IDLE_S
        async with asyncio.timeout(patience_s):
            return await reader.read(CHUNK)

    async def _answer(self, line: bytes) -> msgspec.Struct:
        """Raises ApiError for what is no request."""
        request = read_request(line)
        if why := self._refusal(self._uid, request) or self._excess(request):
            self._refusals.note("not allowed", f"user {self._uid} is refused '{type(request).__name__}': {why}")
            return Refused(why)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answer = await self._desk.answer(request)
        except TimeoutError:
            return Refused(f"not done within {ANSWER_WITHIN_S:g} s: try again")
        except self._desk.told_errors as error:
            return Refused(str(error) or type(error).__name__)
        except Exception:
            log.exception("'%s' failed", type(request).__name__)
            return Refused("it failed: see the node's log")
        self._note(request)
        return answer

    def _excess(self, request: Request) -> str:
        if isinstance(request, Publish) and sum(isinstance(one, Publish) for one in self._held) >= MAX_PUBLISHED:
            return f"one connection publishes at most {MAX_PUBLISHED} services"
        if isinstance(request, Outside) and any(isinstance(one, Outside) for one in self._held):
            return "this connection has opened its ports already: ask on another one"
        if isinstance(request, Uncarry) and not any(_is_same(request, one) for one in self._held):
            return "nothing is carried so on this connection"
        return ""

    def _note(self, request: Request) -> None:
        """What was done and is to be undone at the end."""
        if isinstance(request, Held):
            self._held.append(request)
        elif isinstance(request, Uncarry):
            self._held = [one for one in self._held if not _is_same(request, one)]

    async def _let_go(self) -> None:
        for held in self._held:
            try:
                await self._desk.let_go(held)
            except self._desk.told_errors as error:
                log.warning("'%s' is not undone: %s", type(held).__name__, error)


def _is_same(asked: Uncarry, held: Held) -> bool:
    return isinstance(held, Carry) and (held.node_id, set(held.networks)) == (asked.node_id, set(asked.networks))
