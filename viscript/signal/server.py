"""The signal server: accepts programs, knows which ids are live, and asks them questions with a deadline.

It decides nothing about programs; who may use an id is told by the injected `owner`. One bad connection is
closed with a logged reason and disturbs nobody else. An id that is live is refused to a second program, unless
the first does not even answer a PING any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, cast

from viscript.signal.connection import Connection
from viscript.signal.errors import NotConnectedError, RemoteError, SignalError, UnansweredError
from viscript.signal.line import Line, Patience
from viscript.signal.model import (
    ALL_EXTENSIONS,
    Address,
    Ask,
    Command,
    Extension,
    Level,
    Peer,
    Pid,
    Report,
    Role,
    Text,
)
from viscript.signal.peers import BACKLOG, is_gone, make_unix_listener, remove_unix_listener
from viscript.signal.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

log = logging.getLogger(__name__)

ANSWER_DEADLINE_S = 5.0
COMMAND_DEADLINE_S = 30.0
PROBE_DEADLINE_S = 2.0
"""How long the holder of an id may take to show that it lives, when a second program claims the id."""

MAX_CONNECTIONS = 512
MAX_STRANGERS = 256
"""Connections that have not registered yet; one more pushes out the oldest. More than
can be accepted in one turn of the loop, or a crowd that comes back together would push itself out."""


def anyone(_peer: Peer, _client_id: int) -> bool:
    """The owner check of a server that trusts whoever can connect."""
    return True


class SignalServer:
    """`owner(peer, id)` answers quickly and without I/O that blocks. `extensions` is what programs may use
    beyond the original's wire.
    """

    def __init__(
        self,
        *,
        owner: Callable[[Peer, int], bool] = anyone,
        extensions: frozenset[Extension] = ALL_EXTENSIONS,
        patience: Patience | None = None,
    ) -> None:
        self.extensions = extensions
        self._owner = owner
        self._patience = patience or Patience()
        self._live: dict[int, Connection] = {}
        self._strangers: dict[Connection, None] = {}
        self._waiting: dict[int, list[asyncio.Future[None]]] = {}
        self._contested: set[int] = set()
        self._contests: set[asyncio.Task[None]] = set()
        self._listeners: list[asyncio.Server] = []
        self._paths: list[tuple[Path, int]] = []

    async def start(self, host: str, port: int) -> Address:
        """Listen; port 0 takes a free one. Returns what was taken. Raises OSError."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(self._make_line, host, port, backlog=BACKLOG)
        self._listeners.append(listener)
        name = listener.sockets[0].getsockname()
        return Address(name[0], name[1])

    async def start_unix(self, path: Path, mode: int = 0o600) -> None:
        """Listen there too; a socket left by a former server is replaced. Raises OSError."""
        listener, inode = make_unix_listener(path, mode)
        self._paths.append((path, inode))
        self._listeners.append(await asyncio.get_running_loop().create_unix_server(self._make_line, sock=listener))

    async def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for contest in tuple(self._contests):
            contest.cancel()
        for connection in (*self._live.values(), *self._strangers):
            connection.line.close()
        await asyncio.gather(*self._contests, return_exceptions=True)
        for listener in self._listeners:
            await listener.wait_closed()
        for path, inode in self._paths:
            remove_unix_listener(path, inode)

    def connected(self) -> frozenset[int]:
        return frozenset(self._live)

    def extended(self, client_id: int) -> bool:
        """Whether the program is live and understands more than the original's three questions."""
        connection = self._live.get(client_id)
        return connection is not None and bool(connection.line.session.extensions)

    async def wait_connected(self, client_id: int, timeout_s: float) -> None:
        """Return once the id is live; raises NotConnectedError when it is not in time."""
        if client_id in self._live:
            return
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(client_id, [])
        waiting.append(arrived)
        try:
            async with asyncio.timeout(timeout_s):
                await arrived
        except TimeoutError:
            raise NotConnectedError(f"program {client_id} has not registered with the signal server") from None
        finally:
            waiting.remove(arrived)
            if not waiting:
                self._waiting.pop(client_id, None)

    # Questions. All raise NotConnectedError and UnansweredError; those of the extensions also UnsupportedError,
    # from a program of an older library, and RefusedError, whose text is the program's.

    async def ping(self, client_id: int, timeout_s: float = ANSWER_DEADLINE_S) -> float:
        """Seconds until the program answered."""
        before = time.perf_counter()
        await self._find(client_id).ask(Ask.PING, timeout_s)
        return time.perf_counter() - before

    async def top(self, client_id: int, timeout_s: float = ANSWER_DEADLINE_S) -> dict[str, object]:
        """The program's memory statistics under Go's names."""
        return cast("dict[str, object]", await self._find(client_id).ask(Ask.TOP, timeout_s))

    async def shutdown(self, client_id: int, timeout_s: float = ANSWER_DEADLINE_S) -> int:
        """The process id the program names as it begins to go."""
        return cast("Pid", await self._find(client_id).ask(Ask.SHUTDOWN, timeout_s)).pid

    async def report(self, client_id: int, timeout_s: float = ANSWER_DEADLINE_S) -> Report:
        """What the program says of itself."""
        return cast("Report", await self._find(client_id).ask(Ask.REPORT, timeout_s))

    async def set_log_level(self, client_id: int, level: str, timeout_s: float = ANSWER_DEADLINE_S) -> str:
        """The level then in force, in the program's own spelling."""
        return cast("Level", await self._find(client_id).ask(Ask.LOG_LEVEL, timeout_s, Level(level))).level

    async def command(
        self, client_id: int, name: str, args: tuple[str, ...] = (), timeout_s: float = COMMAND_DEADLINE_S
    ) -> str:
        """What the program's own command had to say."""
        told = Command(name, args)
        return cast("Text", await self._find(client_id).ask(Ask.COMMAND, timeout_s, told)).text

    # The books, as connections see them

    def opened(self, connection: Connection) -> None:
        if len(self._live) + len(self._strangers) >= MAX_CONNECTIONS:
            connection.line.end(f"{MAX_CONNECTIONS} connections are open, which is the most there may be")
            return
        self._strangers[connection] = None
        if len(self._strangers) > MAX_STRANGERS:
            next(iter(self._strangers)).line.end("pushed out by newer connections before it had registered")

    def admit(self, connection: Connection, client_id: int) -> None:
        assert connection.peer is not None
        try:
            owned = self._owner(connection.peer, client_id)
        except Exception:
            log.exception("cannot tell whether id %d belongs to %s", client_id, connection.peer)
            owned = False
        if not owned:
            raise RemoteError(f"id {client_id} does not belong to that program")
        holder = self._live.get(client_id)
        if holder is None:
            self._enter(connection, client_id)
        elif client_id in self._contested:
            raise RemoteError(f"id {client_id} is live already, and another claims it just now")
        else:
            self._contested.add(client_id)
            self._spawn(self._contest(holder, connection, client_id))

    def closed(self, connection: Connection) -> None:
        self._strangers.pop(connection, None)
        client_id = connection.client_id
        if client_id is not None and self._live.get(client_id) is connection:
            del self._live[client_id]
            log.info("program %d left", client_id)

    async def _contest(self, holder: Connection, claimant: Connection, client_id: int) -> None:
        """A restarted program must not wait until its dead predecessor's connection is given up."""
        try:
            dead = await _is_dead(holder)
        finally:
            self._contested.discard(client_id)
        if not dead or self._live.get(client_id) not in {holder, None}:
            claimant.line.end(f"id {client_id} is live already, at {holder.peer}")
            return
        if claimant not in self._strangers or claimant.line.transport.is_closing():
            return
        if self._live.pop(client_id, None) is not None:
            holder.line.end(f"its id {client_id} went to {claimant.peer}, for it answers no more")
        self._enter(claimant, client_id)

    def _enter(self, connection: Connection, client_id: int) -> None:
        del self._strangers[connection]
        connection.accept(client_id)
        self._live[client_id] = connection
        log.info("program %d registered", client_id)
        for arrived in self._waiting.get(client_id, ()):
            if not arrived.done():
                arrived.set_result(None)

    def _find(self, client_id: int) -> Connection:
        try:
            return self._live[client_id]
        except KeyError:
            raise NotConnectedError(f"program {client_id} is not connected to the signal server") from None

    def _make_line(self) -> Line:
        return Line(Session(Role.SERVER), Connection(self), self._patience)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._contests.add(task)
        task.add_done_callback(self._contests.discard)


async def _is_dead(holder: Connection) -> bool:
    if holder.peer is not None and is_gone(holder.peer.pid):
        return True
    try:
        await holder.ask(Ask.PING, PROBE_DEADLINE_S)
    except UnansweredError:
        return True
    except SignalError:
        return False
    return False
