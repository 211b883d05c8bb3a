"""Tells nodes which other clusters are peered, and what of each node they may use: orders BORDERS, the whole of it. A
node that is told lets nobody else in from there, and drops what sessions it has with clusters that are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from services.keys import NodeId
from services.manager.asks import BORDERS, Borders
from services.manager.ending import end_tasks
from services.manager.errors import BusError, HopError, ManagerError
from services.manager.lease import Lease
from services.manager.orders import Orders
from services.manager.peering.peers import Peers
from services.manager.registry import Registry

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 5.0
AT_ONCE = 64


class Teller:
    def __init__(self, orders: Orders, lease: Lease, registry: Registry, peers: Peers) -> None:
        self._orders, self._lease, self._registry, self._peers = orders, lease, registry, peers
        self._told: dict[NodeId, Borders] = {}
        self._turns: dict[NodeId, asyncio.Lock] = {}
        self._had_any = False
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        peers.on_change.append(lambda _: self._news.set())

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])

    async def bring(self, node_id: NodeId, *, anew: bool = False) -> None:
        """Unless it was told just that. Raises HopError, BusError, WordsError."""
        async with self._turns.setdefault(node_id, asyncio.Lock()):
            words = self._words(node_id)
            if anew or self._told.get(node_id) != words:
                await self._orders.give(node_id, BORDERS, words)
                self._told[node_id] = words

    def _words(self, node_id: NodeId) -> Borders:
        return Borders({manager: peer.exports.of(node_id) for manager, peer in sorted(self._peers.peered.items())})

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._news.wait()
            self._news.clear()
            self._had_any |= bool(self._peers.peered)
            if not self._lease.is_held:
                self._told.clear()
            elif self._had_any:
                await self._tell_all()

    async def _tell_all(self) -> None:
        self._told = {node_id: words for node_id, words in self._told.items() if node_id in self._registry.nodes}
        self._turns = {node_id: turn for node_id, turn in self._turns.items() if node_id in self._told or turn.locked()}
        late = [node_id for node_id in self._registry.nodes if self._told.get(node_id) != self._words(node_id)]
        for start in range(0, len(late), AT_ONCE):
            await asyncio.gather(*(self._tell(node_id) for node_id in late[start : start + AT_ONCE]))

    async def _tell(self, node_id: NodeId) -> None:
        try:
            await self.bring(node_id)
        except (HopError, BusError) as error:
            log.debug("node '%s' hears of the borders later: %s", node_id, error)
        except ManagerError as error:
            log.warning("node '%s' is not told of the borders: %s", node_id, error)
