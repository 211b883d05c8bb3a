"""The node's ends, put together: services, sessions, members, names, and the socket and resolver that ask for them.

restore  before the kernel is brought: what was kept, into the book
start    once the kernel is as wanted: sessions are steered, and questions answered
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from services import __version__
from services.addresses import session_address
from services.keys import Identity, NodeId
from services.manager import asks
from services.manager.asks import BORDERS, Reply
from services.manager.ending import end_tasks
from services.manager.signed import Order, decode
from services.node.access import Access
from services.node.api import Api
from services.node.api_words import ManagerState, Status
from services.node.book import Book
from services.node.borders import Borders, hold_to
from services.node.carrier import Carrier
from services.node.config import Config, read_endpoint
from services.node.desk import Desk
from services.node.home import Home
from services.node.kept import Kept
from services.node.kernel_thread import Kernel
from services.node.labels import Labels
from services.node.links import Links
from services.node.members import Members
from services.node.names import Names
from services.node.outside import Outsides
from services.node.own_record import OwnRecord
from services.node.probes import Prober
from services.node.resolver import Resolver
from services.node.services import Publisher
from services.node.sessions import Sessions
from services.node.status import Measured, tell
from services.node.troubles import Troubles
from services.node.vouching import vouch
from services.node.watch import Watch
from services.updates.board import BoardUpdates

PETS = "pets.yaml"


class Ends:
    def __init__(
        self,
        config: Config,
        identity: Identity,
        ram: Kept,
        own: OwnRecord,
        kernel: Kernel,
        book: Book,
        prober: Prober,
        links: Links,
        labels: Labels,
        home: Home,
        troubles: Troubles,
        measured: Callable[[], Measured],
    ) -> None:
        self._config, self._me, self._own = config, identity.node_id, own
        self._kernel, self._home, self._labels, self._prober, self._troubles = kernel, home, labels, prober, troubles
        self._measured = measured
        self._started_unix_s = int(time.time())
        self.publisher = Publisher(identity, config, book, home, ram)
        self.borders = Borders(ram)
        self.sessions = Sessions(
            identity, config, own, book, labels, home, prober, ram, self.publisher, self.borders, troubles
        )
        self.members = Members(self._me, config.probe_port, book, prober, ram, self.publisher)
        self.carrier = Carrier(book, self.sessions, ram)
        names, vouches = Names(config.card / PETS, home), partial(vouch, identity)
        parts = (self.sessions, self.publisher, self.members, self.carrier, Outsides(config, book), names)
        desk = Desk(kernel, links, labels, home, *parts, vouches, self.status)
        self._api, self._resolver = Api(config.socket, desk, Access(config).refusal), Resolver(names)
        self._watch = Watch(self.sessions, self.sessions.change, kernel, labels, prober)
        self._updates = BoardUpdates(home, ram)
        self._tasks: list[asyncio.Task[None]] = []

    async def restore(self) -> None:
        for part in (self.publisher, self.members, self.sessions, self.carrier):
            await part.restore()

    async def start(self) -> list[asyncio.Task[None]]:
        """What runs from now on. Raises NodeError."""
        self._home.on_expelled(self._expel)
        self._home.on(BORDERS, self._take_borders)
        self.borders.on_change = lambda: hold_to(self.borders.clusters, self.sessions)
        await self.sessions.start()
        await self.publisher.start()
        if self._config.resolver:
            await self._resolver.start(read_endpoint(self._config.resolver))
        await self._api.start()
        self._tasks.append(asyncio.get_running_loop().create_task(self._watch.run()))
        self._updates.start()
        return self._tasks

    async def close(self) -> None:
        """The kernel keeps all of it."""
        await self._updates.close()
        await self._api.close()
        await self._resolver.close()
        await end_tasks(self._tasks)
        await self.carrier.close()
        await self.publisher.close()
        await self.sessions.close()

    async def _take_borders(self, order: Order) -> Reply:
        await self.borders.take(decode(order.body, asks.Borders, BORDERS))
        return Reply()

    async def _expel(self, node_id: NodeId) -> None:
        await self.members.drop(node_id)

    async def status(self) -> Status:
        measured, refused = self._measured(), await self._kernel.refusals()
        return Status(
            self._me,
            str(session_address(self._me)),
            __version__,
            self._started_unix_s,
            self._config.relays,
            measured.works,
            tell(measured),
            self._home.is_connected,
            self._managers(),
            measured.links,
            measured.links_up,
            self.sessions.count,
            len(self._labels),
            len(self.publisher),
            {**{name: count.packets for name, count in refused.items()}, "probes": self._false_probes()},
            self._troubles.list(),
        )

    def _false_probes(self) -> int:
        counts = self._prober.counts
        return counts.malformed + counts.unknown + counts.forged

    def _managers(self) -> tuple[ManagerState, ...]:
        known = {place.id for place in self._config.managers}
        told = [ManagerState(str(place.at), place.id or "", self._home.is_connected) for place in self._config.managers]
        others = [node_id for node_id in self._home.managers if node_id not in known]
        return (*told, *(ManagerState("", node_id, self._home.is_connected) for node_id in others))
