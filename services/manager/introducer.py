"""Tells nodes with whom to keep links: orders NEIGHBOURS whenever somebody's list has changed, and when a node asks.

Who has not been heard for long stands in nobody's list, so that its places are taken. Only who leads orders.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time

import msgspec

from services.keys import NodeId
from services.manager.asks import NEIGHBOURS, Neighbours
from services.manager.ending import end_tasks
from services.manager.errors import BusError, HopError, LocalNodeError, ManagerError
from services.manager.graph_keeper import GraphKeeper
from services.manager.lease import Lease
from services.manager.local_node import LocalNode
from services.manager.neighbours import Links, plan_neighbours
from services.manager.orders import Orders
from services.manager.peering.peers import Peers
from services.manager.registry import Registry

log = logging.getLogger(__name__)

SETTLE_S = 0.2
"""Changes come together."""

LOOK_AGAIN_S = 5.0
ABSENT_AFTER_S = 600.0
AT_ONCE = 64
MAX_BODY = 40_000
"""In JSON, before it is signed."""


class Introducer:
    def __init__(
        self,
        managers: tuple[NodeId, ...],
        orders: Orders,
        lease: Lease,
        registry: Registry,
        keeper: GraphKeeper,
        local: LocalNode,
        peers: Peers,
    ) -> None:
        self._managers, self._orders, self._lease = managers, orders, lease
        self._registry, self._keeper, self._local = registry, keeper, local
        self._peers = peers
        self._told: dict[NodeId, bytes] = {}
        self._plan: Links = {}
        self._planned_for: dict[NodeId, bool] = {}
        self.link_places: dict[NodeId, str] = {}
        self.session_places: dict[NodeId, str] = {}
        self._is_changed = True
        self._began = time.monotonic()
        self._joined: dict[NodeId, float] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        registry.on_record.append(self._take_record)
        registry.on_expelled.append(lambda _: self._news.set())
        peers.on_change.append(self._take_peer)

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])

    async def introduce(self, node_id: NodeId) -> None:
        """To that node, whatever it was told before. Raises HopError, BusError, WordsError."""
        self._bring_plan()
        words = self._words(node_id)
        await self._orders.give(node_id, NEIGHBOURS, words)
        self._told[node_id] = _digest(words)

    def _take_record(self, node_id: NodeId) -> None:
        self._joined[node_id] = time.monotonic()
        self._is_changed = True
        self._news.set()

    def _take_peer(self, _: NodeId) -> None:
        self._is_changed = True
        self._news.set()

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._news.wait()
            await asyncio.sleep(SETTLE_S)
            self._news.clear()
            try:
                await self._look()
                if self._lease.is_held:
                    await self._introduce_all()
                else:
                    self._told.clear()
            except ManagerError as error:
                log.debug("neighbours are told later: %s", error)

    async def _look(self) -> None:
        """Where the node here sees the others."""
        with contextlib.suppress(LocalNodeError):
            seen = await self._local.seen()
            places = {NodeId(node_id): place for node_id, place in seen.links.items()}
            self._is_changed |= places != self.link_places
            self.link_places = places
            self.session_places.clear()
            self.session_places.update({NodeId(node_id): place for node_id, place in seen.sessions.items()})

    async def _introduce_all(self) -> None:
        self._bring_plan()
        is_changed, self._is_changed = self._is_changed, False
        late = [
            node_id
            for node_id in self._plan
            if node_id not in self._told or (is_changed and self._told[node_id] != _digest(self._words(node_id)))
        ]
        for start in range(0, len(late), AT_ONCE):
            await asyncio.gather(*(self._tell(node_id) for node_id in late[start : start + AT_ONCE]))

    async def _tell(self, node_id: NodeId) -> None:
        try:
            await self.introduce(node_id)
        except (HopError, BusError) as error:
            log.debug("node '%s' is told its neighbours later: %s", node_id, error)

    def _bring_plan(self) -> None:
        now = time.monotonic()
        relays = {
            node_id: known.record.relays
            for node_id, known in self._registry.nodes.items()
            if now - max(self._keeper.heard.get(node_id, 0.0), self._joined.get(node_id, self._began)) < ABSENT_AFTER_S
        }
        if relays != self._planned_for:
            self._plan, self._planned_for = plan_neighbours(relays, self._managers), relays
            self._is_changed = True

    def _words(self, node_id: NodeId) -> Neighbours:
        """As many as an order holds; who has the longest record is left out first. A border has those of peers too."""
        known = self._registry.nodes
        borders = self._peers.borders_at(node_id)
        chosen = sorted(other for other in self._plan.get(node_id, ()) if other in known)
        while sum(len(known[other].signed) for other in chosen) * 4 // 3 > MAX_BODY:
            chosen.remove(max(chosen, key=lambda other: len(known[other].signed)))
        seen = {
            other: place
            for other in chosen
            if (place := self.link_places.get(other)) and place not in known[other].record.endpoints
        }
        records = (*(known[other].signed for other in chosen), *(peer.record for peer in borders))
        return Neighbours(records, {str(key): seen[key] for key in seen}, tuple(peer.manager_id for peer in borders))


def _digest(words: Neighbours) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(words), digest_size=16).digest()
