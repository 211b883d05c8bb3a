"""Where clients lease: lines of JSON on TCP at the session address. A connection is a lease; who floods, stalls or
talks nonsense loses that one connection.

The kernel vouches for whoever it is: only a session's other end sends from its session address.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any, Protocol

from services.addresses import session_address
from services.app.farewell import close, turn_away
from services.app.refusals import Refusals
from services.errors import IdentityError
from services.kernel.errors import KernelError
from services.keys import NodeId
from services.manager.limits import Limits
from services.node.errors import NodeError
from services.vpn.errors import LeaseError, StartError, TalkError
from services.vpn.words import (
    DEAD_S,
    Answer,
    Ended,
    Lease,
    Leased,
    LineReader,
    Ping,
    Pong,
    Refused,
    encode,
    read_request,
)

log = logging.getLogger(__name__)

WRITE_S = 5.0
MAX_OF_ONE, SPARE = 3, 32
CONNECTS_PER_S = 0.5
LINES_PER_S, LINES_AT_ONCE = 2.0, 20
WROTE_BYTES = 16 * 1024
CHUNK = 4096
OFTEN_S = 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """With one client: how long its first line may take and its silence may last, how often it may connect at once."""

    hello_s: float = 10.0
    dead_s: float = DEAD_S
    connects: int = 8


PATIENCE = Patience()


class Leasing(Protocol):
    """Raises LeaseError, KernelError, NodeError."""

    end: Callable[[NodeId, str, float | None], None]

    async def lease(self, asked: Lease) -> Leased: ...

    async def release(self, node_id: NodeId) -> None: ...


class Control:
    def __init__(self, leasing: Leasing, most: int, refusals: Refusals, patience: Patience = PATIENCE) -> None:
        """`most`: clients at once."""
        self._patience = patience
        self._leasing, self._most, self._refusals = leasing, most + SPARE, refusals
        self._limits = Limits(CONNECTS_PER_S, patience.connects)
        self._of: Counter[str] = Counter()
        self._talks: dict[NodeId, _Talk] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        leasing.end = self._end

    async def start(self, address: IPv6Address, port: int) -> None:
        """Raises StartError."""
        try:
            self._server = await asyncio.start_server(self._connected, str(address), port)
        except OSError as error:
            raise StartError(f"cannot listen at [{address}]:{port}: {error.strerror or error}") from None

    async def close(self, why: str, again_s: float | None) -> None:
        """Every client is told."""
        if self._server is not None:
            self._server.close()
        for talk in tuple(self._talks.values()):
            talk.end(why, again_s)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=WRITE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self, node_id: NodeId, why: str, again_s: float | None) -> None:
        if (talk := self._talks.get(node_id)) is not None:
            talk.end(why, again_s)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        peer = writer.get_extra_info("peername")
        source = str(peer[0]) if peer else ""
        if objection := self._find_objection(source, asyncio.get_running_loop().time()):
            cause, why = objection
            self._refusals.note(cause, f"a connection from '{source}' is refused: {why}")
            turn_away(writer, encode(Refused(why, OFTEN_S)))
            return
        self._of[source] += 1
        self._tasks.add(task)
        writer.transport.set_write_buffer_limits(high=WROTE_BYTES)
        try:
            await self._serve(_Talk(reader, writer, self._patience), IPv6Address(source))
        except asyncio.CancelledError:
            log.debug("'%s' reads no farewell", source)  # asyncio before 3.12 would tell it as a mistake
        finally:
            self._tasks.discard(task)
            self._of[source] -= 1
            if not self._of[source]:
                del self._of[source]
            close(writer) if not task.cancelling() else writer.transport.abort()

    def _find_objection(self, source: str, now_s: float) -> tuple[str, str] | None:
        """The cause, and the sentence."""
        if not source or len(self._tasks) >= self._most:
            return "full", "all connections of this server are taken"
        if self._of[source] >= MAX_OF_ONE:
            return "flood", f"more than {MAX_OF_ONE} connections of one client"
        if not self._limits.allows(source, now_s):
            return "often", "it connects too often"
        return None

    async def _serve(self, talk: _Talk, source: IPv6Address) -> None:
        try:
            asked = await talk.hear_lease(source)
            while (before := self._talks.get(asked.id)) is not None:
                before.end("the same client has connected again", None)
                await before.ended.wait()
            self._talks[asked.id] = talk
            try:
                await talk.say(await self._leasing.lease(asked))
                await talk.hold()
            finally:
                await self._shielded(self._leasing.release(asked.id))
                del self._talks[asked.id]
                talk.ended.set()
        except LeaseError as error:
            self._refusals.note("lease", f"no lease for '{source}': {error}")
            await talk.try_to_say(Refused(str(error), error.again_s))
        except TalkError as error:
            self._refusals.note("talk", f"'{source}' is not understood: {error}")
            await talk.try_to_say(Refused(str(error)))
        except (KernelError, NodeError) as error:
            self._refusals.note("kernel", f"no lease for '{source}': {error}")
            await talk.try_to_say(Refused("this server cannot serve anybody just now", OFTEN_S))
        except OSError as error:
            log.debug("'%s' is gone: %s", source, error or "silent, or slow to read")
        except Exception:
            log.exception("'%s' lost its connection by a mistake of this server's", source)

    async def _shielded(self, work: Awaitable[None]) -> None:
        """Also where the task is being cancelled."""
        try:
            await asyncio.shield(asyncio.ensure_future(work))
        except (KernelError, NodeError) as error:
            log.warning("a lease is not taken back wholly: %s", error)


class _Talk:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: Patience) -> None:
        self._reader, self._writer, self._patience = reader, writer, patience
        self._lines = LineReader()
        self._waiting: list[bytes] = []
        self._limits = Limits(LINES_PER_S, LINES_AT_ONCE, most=1)
        self._farewell: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()

    def end(self, why: str, again_s: float | None) -> None:
        if not self._farewell.done():
            self._farewell.set_result(Ended(why, again_s))

    async def hear_lease(self, source: IPv6Address) -> Lease:
        """The first line, from whom it says it is from. Raises TalkError, OSError."""
        try:
            async with asyncio.timeout(self._patience.hello_s):
                line = await self._line()
        except TimeoutError:
            raise TalkError(f"no line within {self._patience.hello_s:g} s") from None
        asked = read_request(line)
        if not isinstance(asked, Lease):
            raise TalkError("ask for a lease first")
        try:
            address = session_address(asked.id)
        except IdentityError as error:
            raise TalkError(str(error)) from None
        if address != source:
            raise TalkError(f"'{source}' is not the session address of '{asked.id}'")
        if self._writer.get_extra_info("sockname")[0] == str(source):
            raise TalkError("a node is no client of its own")
        return asked

    async def hold(self) -> None:
        """Answers until one of both ends it. Raises TalkError, OSError."""
        hearing = asyncio.ensure_future(self._hear())
        try:
            waits: list[asyncio.Future[Any]] = [hearing, self._farewell]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
        if self._farewell.done():
            await self.try_to_say(self._farewell.result())
        elif not hearing.cancelled():
            hearing.result()

    async def _hear(self) -> None:
        while True:
            async with asyncio.timeout(self._patience.dead_s):
                line = await self._line()
            if not self._limits.allows("", asyncio.get_running_loop().time()):
                raise TalkError(f"more than {LINES_PER_S:g} lines a second")
            asked = read_request(line)
            if not isinstance(asked, Ping):
                raise TalkError("there is a lease already")
            await self.say(Pong(asked.number))

    async def _line(self) -> bytes:
        """Raises TalkError, OSError."""
        while not self._waiting:
            data = await self._reader.read(CHUNK)
            if not data:
                raise ConnectionResetError("closed by the client")
            self._waiting += self._lines.feed(data)
            if len(self._waiting) > LINES_AT_ONCE:
                raise TalkError(f"more than {LINES_AT_ONCE} lines at once")
        return self._waiting.pop(0)

    async def say(self, answer: Answer) -> None:
        """Raises OSError."""
        self._writer.write(encode(answer))
        async with asyncio.timeout(WRITE_S):
            await self._writer.drain()

    async def try_to_say(self, answer: Answer) -> None:
        with suppress(OSError):
            await self.say(answer)
