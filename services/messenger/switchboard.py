"""The links of this messenger: those it accepts and those it dials. Who is at the other end is believed because the
session address of the node id it names is the address it comes from; a session is keyed by that identity.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from services.app.farewell import close, turn_away
from services.app.refusals import Refusals
from services.keys import NodeId
from services.manager.ending import end_tasks
from services.messenger.errors import UnreachableError, WireError
from services.messenger.link import Exchange, Link, greet
from services.messenger.wire import Bye, Hello, Word, frame

log = logging.getLogger(__name__)

MAX_LINKS, MAX_OF_ONE = 256, 4
DIAL_WITHIN_S = 10.0
BACKLOG = 64


class Place(NamedTuple):
    address: str
    port: int


class Ways(NamedTuple):
    """How others are found: `reach` opens a session and says where to dial (raises UnreachableError); `address_of` is
    the only address that a node's messages come from.
    """

    reach: Callable[[NodeId], Awaitable[Place]]
    address_of: Callable[[NodeId], str]


class Switchboard:
    def __init__(self, ways: Ways, hello: Callable[[], Hello], exchange: Exchange) -> None:
        self._ways, self._hello, self._exchange = ways, hello, exchange
        self.refusals = Refusals(log)
        self._server: asyncio.Server | None = None
        self._own_address: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted: dict[NodeId, asyncio.Future[Link]] = {}
        self._links: dict[NodeId, list[Link]] = {}
        self._from: Counter[str] = Counter()

    async def listen(self, address: str, port: int) -> int:
        """Also dials from there. Returns the port. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, address, port, backlog=BACKLOG)
        self._own_address = address
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await end_tasks(list(self._tasks))

    def link(self, peer: NodeId) -> Link | None:
        """The newest that is open."""
        return next((link for link in reversed(self._links.get(peer, [])) if link.is_open), None)

    @property
    def online(self) -> frozenset[NodeId]:
        return frozenset(self._links)

    async def dial(self, peer: NodeId) -> Link:
        """A link, there already or new, whichever end makes it. Raises UnreachableError."""
        if (link := self.link(peer)) is not None:
            return link
        if peer not in self._wanted:
            loop = asyncio.get_running_loop()
            self._wanted[peer] = wanted = loop.create_future()
            wanted.add_done_callback(lambda _: self._wanted.pop(peer, None))
            self._watch(loop.create_task(self._try(peer, wanted)))
        return await asyncio.shield(self._wanted[peer])

    async def _try(self, peer: NodeId, wanted: asyncio.Future[Link]) -> None:
        try:
            await self._dial(peer)
        except UnreachableError as error:
            if not wanted.done():
                wanted.set_exception(error)
                wanted.exception()  # whoever waits may have left
        finally:
            wanted.cancel()

    async def _dial(self, peer: NodeId) -> None:
        place = await self._ways.reach(peer)
        if place.address != self._ways.address_of(peer):
            raise UnreachableError(f"'{place.address}' is not the address of '{peer}'")
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(DIAL_WITHIN_S):
                own = (self._own_address, 0) if self._own_address else None
                reader, writer = await asyncio.open_connection(place.address, place.port, local_addr=own)
            frames, hello, rest = await greet(reader, writer, self._hello())
            if hello.node_id != peer:
                raise WireError(f"'{hello.node_id}' answers in the place of '{peer}'")
        except (OSError, WireError) as error:
            if writer is not None:
                writer.transport.abort()
            raise UnreachableError(f"'{peer}' cannot be reached: {error or 'no answer in time'}") from None
        link = Link(reader, writer, frames, hello)
        self._enter(link)
        self._watch(asyncio.get_running_loop().create_task(self._serve(link, rest)))

    # who dials us

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = writer.get_extra_info("peername")
        address = name[0] if name else ""
        if not address or len(self._tasks) >= MAX_LINKS or self._from[address] >= MAX_OF_ONE:
            self.refusals.note("too many", f"a connection from '{address}' is refused: too many are open")
            turn_away(writer, frame(Bye("too many connections are open: dial again in a moment")))
            return
        self._from[address] += 1
        task = asyncio.get_running_loop().create_task(self._receive(reader, writer, address))
        self._watch(task)

        def ended(_: asyncio.Task[None]) -> None:
            self._from[address] -= 1
            if not self._from[address]:
                del self._from[address]

        task.add_done_callback(ended)

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> None:
        try:
            frames, hello, rest = await greet(reader, writer, self._hello())
            if self._ways.address_of(hello.node_id) != address:
                raise WireError(f"node '{hello.node_id}' does not have the address '{address}'")
        except WireError as error:
            self.refusals.note("hello", f"a connection from '{address}' is refused: {error}")
            writer.write(frame(Bye(str(error)[:200])))
            close(writer)
            return
        except OSError as error:
            log.debug("a connection from '%s' ends: %s", address, error or "no hello in time")
            writer.transport.abort()
            return
        await self._serve(Link(reader, writer, frames, hello), rest)

    # both

    def _watch(self, task: asyncio.Task[None]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                log.error("a connection failed", exc_info=task.exception())

        self._tasks.add(task)
        task.add_done_callback(ended)

    def _enter(self, link: Link) -> None:
        links = self._links.setdefault(link.peer, [])
        if link not in links:
            links.append(link)
            self._exchange.link_up(link)
            wanted = self._wanted.get(link.peer)
            if wanted is not None and not wanted.done():
                wanted.set_result(link)

    async def _serve(self, link: Link, first: list[Word]) -> None:
        self._enter(link)
        why = ""
        try:
            await link.serve(self._exchange, first)
            if link.objection:
                self.refusals.note(link.objection, f"the connection with '{link.peer}' is ended: {link.objection}")
        except WireError as error:
            why = str(error)
            self.refusals.note("wire", f"the connection with '{link.peer}' ends: {error}")
        except OSError as error:
            log.debug("the connection with '%s' ends: %s", link.peer, error or "silent")
        finally:
            link.end(why)
            self._links[link.peer].remove(link)
            if not self._links[link.peer]:
                del self._links[link.peer]
            self._exchange.link_down(link)
