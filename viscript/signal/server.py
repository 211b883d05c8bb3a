"""The signal server: accepts programs, knows which ids are live, and asks them questions with a deadline.

It decides nothing about programs; who may use an id is told by the injected `owner`. One bad connection is
closed with a logged reason and disturbs nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from viscript.signal.errors import LocalError, NotConnectedError, RemoteError, UnansweredError
from viscript.signal.link import Link
from viscript.signal.model import Address, Answered, Ask, Peer, Pinged, Registering, Role
from viscript.signal.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from viscript.signal.model import Event

log = logging.getLogger(__name__)

ANSWER_DEADLINE_S = 5.0
REGISTER_DEADLINE_S = 10.0
MAX_CONNECTIONS = 512
PINGS_PER_S, PING_BURST = 5.0, 50.0


class _PidAnswer(msgspec.Struct, frozen=True):
    pid: int = msgspec.field(name="Pid")


class _Connection:
    """One program: its line, and the answers it owes in the order they were asked for per operation."""

    def __init__(self, server: SignalServer, link: Link, peer: Peer) -> None:
        self.client_id: int | None = None
        self.link = link
        self.peer = peer
        self._server = server
        self._owed: dict[Ask, deque[asyncio.Future[object]]] = {op: deque() for op in Ask}
        self._pings, self._pinged_at = PING_BURST, 0.0

    async def run(self) -> str:
        self.link.read_deadline_s, usual = REGISTER_DEADLINE_S, self.link.read_deadline_s
        self._usual_deadline_s = usual
        reason = await self.link.run(self._handle)
        for owed in self._owed.values():
            for answer in owed:
                if not answer.done():
                    answer.set_exception(UnansweredError(f"the program left: {reason}"))
        return reason

    async def ask(self, op: Ask, timeout_s: float) -> object:
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        try:
            self.link.session.ask(op)
        except LocalError as error:
            raise UnansweredError(str(error)) from error
        # A late answer must not pass for the next one, so a future that timed out stays in the queue.
        self._owed[op].append(answer)
        self.link.send()
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise UnansweredError(f"no answer to {op.name} within {timeout_s:g} s") from None

    def _handle(self, event: Event) -> None:
        match event:
            case Registering(client_id):
                self._server.admit(self, client_id)
                self.client_id = client_id
                self.link.session.accept()
                self.link.read_deadline_s = self._usual_deadline_s
            case Answered(op, value):
                answer = self._owed[op].popleft()
                if not answer.done():
                    answer.set_result(value)
            case Pinged():
                self._count_ping(asyncio.get_running_loop().time())
            case _:
                pass

    def _count_ping(self, now: float) -> None:
        self._pings = min(self._pings + (now - self._pinged_at) * PINGS_PER_S, PING_BURST) - 1
        self._pinged_at = now
        if self._pings < 0:
            raise RemoteError("a flood of PING")


def anyone(_peer: Peer, _client_id: int) -> bool:
    """The owner check of a server that trusts whoever can connect."""
    return True


class SignalServer:
    """`owner(peer, id)` answers quickly and without I/O that blocks."""

    def __init__(self, *, owner: Callable[[Peer, int], bool] = anyone) -> None:
        self._owner = owner
        self._live: dict[int, _Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> Address:
        """Listen; port 0 takes a free one. Returns what was taken. Raises OSError."""
        self._listener = await asyncio.start_server(self._accept, host, port)
        name = self._listener.sockets[0].getsockname()
        return Address(name[0], name[1])

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            await self._listener.wait_closed()

    def connected(self) -> frozenset[int]:
        return frozenset(self._live)

    async def wait_connected(self, client_id: int, timeout_s: float) -> None:
        """Return once the id is live; raises NotConnectedError when it is not in time."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: client_id in self._live)
        except TimeoutError:
            raise NotConnectedError(f"program {client_id} has not registered with the signal server") from None

    async def ping(self, client_id: int, timeout_s: float = ANSWER_DEADLINE_S) -> float:
        """Seconds until the program answered."""
        before = time.perf_counter()
        await self._find(client_id).ask(Ask.PING, timeout_s)
        return time.perf_counter() - before

    async def top(self, client_id: int, timeout_s: float = ANSWER_DEADLINE_S) -> dict[str, object]:
        """The program's memory statistics under Go's names."""
        value = await self._find(client_id).ask(Ask.TOP, timeout_s)
        if not isinstance(value, dict):
            raise UnansweredError(f"program {client_id} answered TOP with no object")
        return value

    async def shutdown(self, client_id: int, timeout_s: float = ANSWER_DEADLINE_S) -> int:
        """The process id the program names as it begins to go."""
        value = await self._find(client_id).ask(Ask.SHUTDOWN, timeout_s)
        try:
            return msgspec.convert(value, _PidAnswer).pid
        except msgspec.ValidationError as error:
            raise UnansweredError(f"program {client_id} answered SHUTDOWN without a pid: {error}") from error

    def admit(self, connection: _Connection, client_id: int) -> None:
        """Take a registration into the books; raises RemoteError with the reason for a refusal."""
        if client_id in self._live:
            raise RemoteError(f"id {client_id} is live already, from {self._live[client_id].peer}")
        if not self._owner(connection.peer, client_id):
            raise RemoteError(f"id {client_id} does not belong to that program")
        self._live[client_id] = connection
        self._tell(client_id, connected=True)

    def _find(self, client_id: int) -> _Connection:
        try:
            return self._live[client_id]
        except KeyError:
            raise NotConnectedError(f"program {client_id} is not connected to the signal server") from None

    def _tell(self, client_id: int, *, connected: bool) -> None:
        log.info("program %d %s", client_id, "registered" if connected else "left")
        self._spawn(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _spawn(self, work: asyncio._CoroutineLike[None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._spawn(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name, own = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        link = Link(Session(Role.SERVER), reader, writer)
        if name is None or len(self._tasks) > MAX_CONNECTIONS:
            log.warning("connection refused: %d are open", len(self._tasks) - 1)
            link.abort()
            return
        connection = _Connection(self, link, Peer(name[0], name[1], own[0], own[1]))
        try:
            reason = await connection.run()
            log.info("connection of %s (id %s) closed: %s", connection.peer, connection.client_id, reason)
        finally:
            if connection.client_id is not None and self._live.pop(connection.client_id, None) is not None:
                self._tell(connection.client_id, connected=False)
            link.abort()
