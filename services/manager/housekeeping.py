"""What is done now and then: marks of deleted keys go, and so do routes whose ends have been silent for long. When the
server was started anew, what it held in memory is made anew.
"""

from __future__ import annotations

import asyncio
import logging
import time

from services.keys import NodeId
from services.manager.ending import end_tasks
from services.manager.errors import ManagerError
from services.manager.graph_keeper import GraphKeeper
from services.manager.hops import Hops
from services.manager.lease import Lease
from services.manager.route_book import RouteBook
from services.manager.store import Store

log = logging.getLogger(__name__)

TIDY_S, LOOK_S = 3600.0, 60.0
SILENT_FOR_S = 600.0
"""As long as a hop holds a label without traffic."""


class Housekeeping:
    def __init__(self, store: Store, lease: Lease, hops: Hops, book: RouteBook, keeper: GraphKeeper) -> None:
        self._store, self._lease, self._hops, self._book, self._keeper = store, lease, hops, book, keeper
        self._silent_since: dict[NodeId, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])

    async def _keep(self) -> None:
        tidied = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            self.drop_silent(now)
            if now - tidied > TIDY_S and self._lease.is_held:
                tidied = now
                try:
                    await self._store.tidy()
                except ManagerError as error:
                    log.warning("the buckets are tidied later: %s", error)

    def drop_silent(self, now_s: float) -> None:
        """Routes with an end that has said nothing of its links for so long."""
        ends = {self._book.initiator(route) for route in self._book.labels}
        ends |= {nodes[-1] for route in self._book.labels if (nodes := self._book.nodes(route))}
        silent = {end for end in ends if end is not None and not self._keeper.is_heard(end)}
        self._silent_since = {end: self._silent_since.get(end, now_s) for end in silent}
        gone = {end for end, since in self._silent_since.items() if now_s - since >= SILENT_FOR_S}
        if not gone or not self._lease.is_held:
            return
        routes = [
            route
            for route in self._book.labels
            if self._book.initiator(route) in gone or (self._book.nodes(route) or (None,))[-1] in gone
        ]
        log.info("%d routes end at nodes that are silent: taken back", len(routes))
        self._hops.drop(routes)
