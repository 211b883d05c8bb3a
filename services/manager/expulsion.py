"""Puts a node out, everywhere: the gate closes its connections, the node beside every manager forgets it (`members`),
and who leads orders all others to do so and takes back the labels of every route through it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from services.keys import NodeId
from services.manager.asks import EXPELLED, ExpelledNodes
from services.manager.ending import end_tasks
from services.manager.errors import BusError, HopError, ManagerError, RefusedError
from services.manager.hops import Hops
from services.manager.lease import Lease
from services.manager.model import LedgerEntry
from services.manager.orders import Orders
from services.manager.registry import Registry
from services.manager.route_book import RouteBook
from services.manager.store import Store

log = logging.getLogger(__name__)

AT_ONCE = 128
IDS_OF_ONE = 300
"""As many as an order holds."""

TRIES, AGAIN_S = 3, 0.5


class Expulsion:
    def __init__(
        self,
        managers: Sequence[NodeId],
        store: Store,
        lease: Lease,
        orders: Orders,
        hops: Hops,
        book: RouteBook,
        registry: Registry,
    ) -> None:
        self._managers, self._store, self._lease, self._orders = managers, store, lease, orders
        self._hops, self._book, self._registry = hops, book, registry
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)
        registry.on_expelled.append(self._take)

    async def stop(self) -> None:
        await end_tasks(self._tasks)

    async def expel(self, node_id: NodeId, reason: str) -> None:
        """Whichever manager is told. Raises RefusedError, BusError."""
        if node_id in self._managers:
            raise RefusedError(f"'{node_id}' is a manager's own node: take the manager out of the cluster instead")
        now = int(time.time())
        body = msgspec.Raw(msgspec.json.encode({"reason": reason}))
        entry = LedgerEntry(f"expelled-{node_id}-{now}", "expelled", node_id, now, body)
        await asyncio.gather(self._store.expel(node_id, reason), self._store.append(entry))
        self._keep(self._forget(node_id))

    async def _forget(self, node_id: NodeId) -> None:
        for left in range(TRIES - 1, -1, -1):
            try:
                await self._store.forget(node_id)
            except BusError as error:
                if not left:
                    log.warning("node '%s' is out, but not all of it is forgotten: %s", node_id, error)
            else:
                return

    async def tell(self, node_id: NodeId) -> None:
        """All who are out, to one node. Raises HopError, BusError."""
        await self._tell(node_id, sorted(self._registry.expelled))

    async def tell_all(self) -> None:
        """What a former leader may not have told."""
        for route in [*self._book.labels]:
            if self._registry.expelled.intersection(self._book.labels.get(route, ())):
                self._hops.drop([route])
        if self._registry.expelled:
            self._start(sorted(self._registry.expelled))

    def _take(self, node_id: NodeId) -> None:
        if self._lease.is_held:
            self._start([node_id])
            self._hops.drop([*self._book.of_node.get(node_id, ())])

    def _start(self, expelled: list[NodeId]) -> None:
        for other in self._registry.nodes:
            self._keep(self._keep_telling(other, expelled))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_telling(self, node_id: NodeId, expelled: list[NodeId]) -> None:
        for left in range(TRIES - 1, -1, -1):
            try:
                async with self._room:
                    await self._tell(node_id, expelled)
            except (HopError, BusError) as error:
                if not left:
                    log.info("node '%s' hears later who was expelled: %s", node_id, error)
                await asyncio.sleep(AGAIN_S)
            except ManagerError as error:
                log.warning("node '%s' is not told who was expelled: %s", node_id, error)
                return
            else:
                return

    async def _tell(self, node_id: NodeId, expelled: list[NodeId]) -> None:
        for start in range(0, len(expelled), IDS_OF_ONE):
            await self._orders.give(node_id, EXPELLED, ExpelledNodes(tuple(expelled[start : start + IDS_OF_ONE])))
