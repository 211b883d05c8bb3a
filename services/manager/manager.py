"""The manager, put together: the engine, what it knows, its door and its desk. `run` starts and ends it.

engine ─┬ registry ─┬ members ── the node here
        │           ├ gatekeeper ── door
        │           ├ keeper (graph), book (routes), directory (services)
        │           └ orders ─┬ hops ── sessions ─┐
        │                     ├ introducer ───────┼ desk
        │                     └ expulsion ────────┘
        ├ exposure (opens the join port)
        ├ intake ── reports, desk
        ├ updates ── what boards fetch, and who goes when
        └ peers ─── border (speaks with other clusters), crossing, teller, decisions
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

from services.addresses import session_address
from services.errors import SeedFileError
from services.keys import Identity, NodeId, new_seed
from services.manager.api import Api
from services.manager.config import Config
from services.manager.desk import Abroad, Desk, Drop
from services.manager.directory import Directory
from services.manager.door import Door
from services.manager.ending import end_tasks
from services.manager.engine import Engine
from services.manager.errors import BusError, EngineError, LocalNodeError
from services.manager.exposure import Exposure
from services.manager.expulsion import Expulsion
from services.manager.gatekeeper import Gatekeeper
from services.manager.graph_keeper import GraphKeeper
from services.manager.health import Health
from services.manager.hops import Hops
from services.manager.housekeeping import Housekeeping
from services.manager.introducer import Introducer
from services.manager.local_node import LocalNode
from services.manager.members import Members
from services.manager.office import Office
from services.manager.orders import Orders
from services.manager.peering.crossing import Crossing
from services.manager.peering.crossings import Crossings
from services.manager.peering.decisions import Decisions
from services.manager.peering.keeper import Keeper
from services.manager.peering.notice import Notices
from services.manager.peering.peers import Peers
from services.manager.peering.teller import Teller
from services.manager.peering.words import Answer, Ask
from services.manager.registry import Registry
from services.manager.reports import Reports
from services.manager.route_book import RouteBook
from services.manager.server_config import Address, client_url
from services.manager.sessions import Sessions
from services.secrecy import Secret
from services.seed_file import create, read
from services.updates.objects import Objects
from services.updates.office import Updates
from services.updates.rollout import Rollouts

log = logging.getLogger(__name__)

MEND_AGAIN_S = 1.0


class Manager:
    """`bus_at` is where its bus listens, `address_of` where other clusters' managers are: session addresses, but in
    tests without a mesh.
    """

    engine: Engine
    registry: Registry
    keeper: GraphKeeper
    book: RouteBook
    directory: Directory
    introducer: Introducer
    expulsion: Expulsion
    sessions: Sessions
    desk: Desk
    housekeeping: Housekeeping
    members: Members
    gatekeeper: Gatekeeper
    door: Door
    health: Health
    office: Office
    peers: Peers
    crossings: Crossings
    border: Keeper
    decisions: Decisions
    updates: Updates
    exposure: Exposure

    def __init__(
        self,
        identity: Identity,
        config: Config,
        bus_at: dict[NodeId, Address] | None = None,
        address_of: Callable[[NodeId], Address] = session_address,
    ) -> None:
        self.identity, self.config = identity, config
        self.me = identity.node_id
        self.managers = (self.me, *(other.id for other in config.others))
        self._bus_at = bus_at or {node_id: session_address(node_id) for node_id in self.managers}
        self._is_bound, self._address_of = bus_at is None, address_of
        self.local = LocalNode(config.node)
        self._mending: asyncio.Task[None] | None = None
        self._undo = AsyncExitStack()

    async def start(self) -> None:
        """All of it, or nothing of it. Raises ManagerError."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await self._undo.aclose()

    async def _start(self) -> None:
        secret = read_secret(self.config)
        self._undo.push_async_callback(self.local.close)
        await self._check_local()
        others = tuple(self._bus_at[other.id] for other in self.config.others)
        self.engine = Engine(self.identity, secret, self._bus_at[self.me], self.config.folder, others)
        self.registry = Registry()
        self.members = Members(self.me, self.local, self.registry, self.config.others)
        await self.members.join_others()
        await self.engine.start()
        self._undo.push_async_callback(self.engine.stop)
        await self.registry.start(self.engine.store)
        self._undo.push_async_callback(self.registry.stop)
        self.registry.on_expelled.append(lambda _: self.engine.gate.look())
        self.members.start()
        self._undo.push_async_callback(self.members.stop)
        await self._learn()
        await self._open_desk()
        await self._open_door()
        await self._open_office()
        self.engine.bus.on_back = self._take_back
        self.engine.server.on_peer_gone = self._take_back
        self._undo.push_async_callback(self._stop_mending)

    async def _check_local(self) -> None:
        status = await self.local.status()
        if status.node_id != self.me:
            raise LocalNodeError(
                f"the node at '{self.config.node}' is '{status.node_id}', this manager is '{self.me}' "
                "(give both the same seed)"
            )

    async def _learn(self) -> None:
        """What the buckets say besides who is in the network."""
        store = self.engine.store
        self.keeper, self.book, self.directory = GraphKeeper(self.registry), RouteBook(), Directory(store)
        self.peers = Peers()
        for part in (self.keeper, self.book, self.peers):
            await part.start(store)
            self._undo.push_async_callback(part.stop)
        self.registry.on_expelled.append(self.directory.forget)
        await self.directory.start()
        self._undo.push_async_callback(self.directory.stop)

    async def _open_desk(self) -> None:
        engine, registry = self.engine, self.registry
        store, lease = engine.store, engine.lease
        orders = Orders(self.identity, engine.bus, lease)
        hops = Hops(orders, store, self.book)
        self._undo.push_async_callback(hops.stop)
        self.introducer = Introducer(self.managers, orders, lease, registry, self.keeper, self.local, self.peers)
        self.expulsion = Expulsion(self.managers, store, lease, orders, hops, self.book, registry)
        self._undo.push_async_callback(self.expulsion.stop)
        self.updates = self._open_updates(orders)
        abroad = self._open_borders(orders, hops)
        self._undo.push_async_callback(abroad.crossing.stop)
        places = self.introducer.session_places
        self.sessions = Sessions(
            min(self.managers),
            self.config.limits,
            orders,
            hops,
            self.book,
            registry,
            self.keeper,
            lambda node_id: places.get(node_id, ""),
            abroad.crossing,
        )
        self.desk = Desk(
            *(engine.bus, lease, registry, self.directory, self.sessions, hops),
            self.introducer,
            self.expulsion,
            self.make_token,
            abroad,
            self.updates.rollouts.take_state,
        )
        self.housekeeping = Housekeeping(store, lease, hops, self.book, self.keeper)
        for part in (self.introducer, self.desk, self.housekeeping, abroad.teller):
            part.start()
            self._undo.push_async_callback(part.stop)
        self._undo.push_async_callback(self.updates.stop)
        await self.updates.start(self.config.node if self._is_bound else None)
        Reports(store, registry, self.directory).handle(engine.intake)
        engine.intake.handle("ask", self.desk.take)

    def _open_updates(self, orders: Orders) -> Updates:
        engine, registry = self.engine, self.registry
        parts = (engine.store, engine.lease, orders, registry, self.keeper, self.config.updates)
        rollouts = Rollouts(self.me, self.managers, *parts)
        return Updates(self.me, Objects(engine.bundles), rollouts, registry, self.config.folder, self._bus_at[self.me])

    async def _ask_peer(self, manager: NodeId, ask: Ask) -> Answer:
        return await self.border.ask(manager, ask)

    async def _cross(self, manager: NodeId, ask: Ask) -> Answer:
        return await self.desk.cross(manager, ask)

    def _open_borders(self, orders: Orders, hops: Hops) -> Abroad:
        """To other clusters."""
        lease, book = self.engine.lease, self.book
        teller = Teller(orders, lease, self.registry, self.peers)
        parts = (lease, orders, hops, book, self.registry, self.keeper, teller)
        crossing = Crossing(self.peers, *parts, self._ask_peer)
        self.crossings = Crossings(book, lambda route: self.desk.act(Drop(route)))
        parts_kept = (self.engine.store, self.local, self.registry, self.directory, self.crossings)
        self.border = Keeper(
            self.identity,
            self.peers,
            *parts_kept,
            self._cross,
            lambda: self.health.join_at,
            source=self._bus_at[self.me],
            address_of=self._address_of,
        )
        return Abroad(self.peers, crossing, teller)

    async def _stop_mending(self) -> None:
        self.engine.bus.on_back = self.engine.server.on_peer_gone = None
        if self._mending is not None:
            await end_tasks([self._mending])

    def _take_back(self) -> None:
        """The bus was away, or a part of it: what was followed there says nothing more."""
        if self._mending is None or self._mending.done():
            self._mending = asyncio.get_running_loop().create_task(self._mend())

    async def _mend(self) -> None:
        while True:
            try:
                await self.engine.mend()
            except BusError as error:
                log.warning("the bus is back, its buckets are not: %s", error)
                await asyncio.sleep(MEND_AGAIN_S)
            else:
                break
        for part in (
            self.registry,
            self.keeper,
            self.book,
            self.directory,
            self.peers,
            self.exposure,
            self.updates.rollouts,
        ):
            part.follow_anew()

    async def _open_door(self) -> None:
        urls = tuple(client_url(self._bus_at[node_id]) for node_id in self.managers)
        self.gatekeeper = Gatekeeper(
            self.managers, urls, self.make_token, self.config.join, self.engine.store, self.registry, self.members
        )
        self.decisions = Decisions(
            self.identity,
            self.managers,
            self.peers,
            self.engine.store,
            self.registry,
            self.crossings,
            self.config.exports,
            self.border.conditions,
            self.border.greet,
        )
        self.door = Door(self.identity, self.gatekeeper.admit, self.decisions.hear)
        await self.door.start(self.config.join.listen)
        self._undo.push_async_callback(self.door.stop)
        self.exposure = Exposure(
            self.managers,
            self.config.node,
            self.config.join,
            self.door.port,
            self.registry,
            self.peers,
            self.gatekeeper,
        )
        self._undo.push_async_callback(self.exposure.stop)
        await self.exposure.start(self.engine.store)

    async def _open_office(self) -> None:
        engine, registry = self.engine, self.registry
        self.health = Health(
            self.managers,
            self.config.join,
            lambda: self.door.port,
            engine.bus,
            engine.lease,
            registry,
            self.keeper,
            self.book,
            self.directory,
            self.members,
            self.gatekeeper,
            lambda: [*self.decisions.advice(), *self.updates.rollouts.fallen_back()],
        )
        self.office = Office(
            self.managers,
            engine.store,
            registry,
            self.keeper,
            self.book,
            self.directory,
            self.desk,
            self.expulsion,
            self.gatekeeper,
            self.health,
            self.decisions,
            self.exposure,
            self.updates,
        )
        notices = Notices(self.me, self.peers)
        self._undo.push_async_callback(notices.stop)
        await self.border.start(engine.bus)
        self._undo.push_async_callback(self.border.stop)
        api = Api(self.office.handle, self.config.socket_users)
        await api.start(self.config.socket)
        self._undo.push_async_callback(api.stop)

    def make_token(self, node_id: NodeId) -> str:
        """For the bus; from its session address alone."""
        address = session_address(node_id) if self._is_bound else None
        return self.engine.node_token(node_id, int(time.time()), address)


def read_secret(config: Config) -> Secret:
    """What the managers of a cluster share; a manager without others makes its own. Raises EngineError."""
    path = config.secret_file
    try:
        if not path.exists():
            if config.others:
                raise EngineError(f"no cluster secret at '{path}' (copy it from another manager of the cluster)")
            create(path, new_seed())
        return read(path)
    except SeedFileError as error:
        raise EngineError(f"the cluster secret is unusable: {error}") from None
