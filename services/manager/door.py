"""The join port: the one place where strangers are listened to. A connection asks once, is answered, and is closed.

Who asks is certain after the protocol (`admission`); whether they may come is decided in `Gatekeeper.admit`. Nothing of
a refusal helps a guesser, and nothing a stranger sends costs more than its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address

from services.app.farewell import turn_away
from services.app.refusals import Refusals
from services.keys import Identity
from services.manager.admission import DEADLINE_S, Asked, Knocking, ManagerEnd
from services.manager.config import place_text, read_place
from services.manager.ending import end_tasks
from services.manager.errors import EngineError, JoinError, ManagerError
from services.manager.invites import Doorkeeper

log = logging.getLogger(__name__)

FWMARK = 0x51
"""That of the node's own sockets to the underlay: its packets stay out of tunnels that are a way for all."""

CHUNK = 4096
SAID_MOST_S = 5.0
"""How long an answer may take to be taken by who asked."""

Admit = Callable[[ManagerEnd, Asked, str], Awaitable[bytes]]
"""The connection's end, what was asked, and from where; gives what to send, or raises ManagerError: a refusal."""

Hear = Callable[[Knocking, str], Awaitable[bytes]]
"""The same, of another cluster's manager."""


class Door:
    """`came_from` are the addresses from which nodes were let in."""

    def __init__(self, identity: Identity, admit: Admit, hear: Hear) -> None:
        self._identity, self._admit, self._hear = identity, admit, hear
        self._keeper = Doorkeeper()
        self.refusals = Refusals(log)
        self._full = ManagerEnd(identity).refuse("too many join at once: try again in a moment")
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.came_from: set[str] = set()

    async def start(self, listen: str) -> None:
        """Raises EngineError."""
        host, port = read_place(listen)
        try:
            listener = _listener(host, port)
        except OSError as error:
            raise EngineError(f"cannot listen for nodes at '{listen}': {error.strerror or error}") from error
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=CHUNK)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await end_tasks(self._tasks)
            await self._server.wait_closed()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        address = plain_address(peer[0]) if peer else ""
        if not address or not self._keeper.enter(address, time.monotonic()):
            self.refusals.note("full", f"a join from '{address}' is refused: too many try at once, or it too often")
            turn_away(writer, self._full)
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, address, peer[1]))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._keeper.leave()
            writer.transport.abort()
            if not task.cancelled() and task.exception() is not None:
                log.error("a join from '%s' failed", address, exc_info=task.exception())

        task.add_done_callback(ended)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, port: int) -> None:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(DEADLINE_S):
                answer = await self._talk(reader, writer, address, port)
                if answer:
                    writer.write(answer)
                    writer.write_eof()
                    await writer.drain()
            async with asyncio.timeout(SAID_MOST_S):
                while await reader.read(CHUNK):  # closing at once might take the answer away from them
                    pass

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, port: int) -> bytes:
        """What to send last; nothing to who went away."""
        end = ManagerEnd(self._identity)
        try:
            while data := await reader.read(CHUNK):
                send, asked = end.feed(data)
                if isinstance(asked, Knocking):
                    return await self._hear(asked, place_text(address, port))
                if asked is not None:
                    answer = await self._admit(end, asked, place_text(address, port))
                    self.came_from.add(address)
                    return answer
                writer.write(send)
                await writer.drain()
        except JoinError as error:
            self.refusals.note("join", f"a join from '{address}' is refused: {error}")
            return end.refuse(str(error))
        except ManagerError as error:
            self.refusals.note(type(error).__name__, f"a join from '{address}' fails: {error}")
            return end.refuse("this manager cannot admit anybody just now: try again")
        return b""


def plain_address(text: str) -> str:
    """An IPv4 address as such, also where a socket for both kinds says it the long way."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _listener(host: str, port: int) -> socket.socket:
    """For both kinds of addresses where it is `::`; marked where we may."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, place = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        with contextlib.suppress(PermissionError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, FWMARK)
        listener.bind(place)
        listener.listen(128)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
