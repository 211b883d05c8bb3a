"""Lays routes: every hop gets its label at once, and holds it, or none does. The initiator is a hop too.

Before the first label is stored, the bucket `opening` says which routes are being laid, and no more once they lie: a
leader that takes over undoes what its predecessor left half done. Undoing goes on behind: nobody waits for a hop that
does not answer, and it asks for its labels when it comes back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from itertools import pairwise
from typing import Any

from services.keys import NodeId
from services.manager.asks import LABEL
from services.manager.ending import end_tasks
from services.manager.errors import BusError, HopError, ManagerError
from services.manager.model import Label
from services.manager.orders import Orders
from services.manager.route_book import RouteBook
from services.manager.store import Store

log = logging.getLogger(__name__)

UNDO_TRIES, UNDO_AGAIN_S = 3, 2.0
AT_ONCE = 128

Hop = tuple[NodeId, Label]


def labels_of(route: str, nodes: Sequence[NodeId], mtu: int) -> list[Hop]:
    """What each node of a route holds of it."""
    before = {node_id: other for other, node_id in pairwise(nodes)}
    after = dict(pairwise(nodes))
    return [(node_id, Label(route, before.get(node_id), after.get(node_id), mtu)) for node_id in nodes]


class Hops:
    def __init__(self, orders: Orders, store: Store, book: RouteBook) -> None:
        self._orders, self._store, self._book = orders, store, book
        self._undoing: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def stop(self) -> None:
        await end_tasks(self._undoing)

    async def lay(
        self, hops: Sequence[Hop], agree: Callable[[], Awaitable[object]] | None = None, of: NodeId | None = None
    ) -> None:
        """All of them, or none. Raises HopError with what went wrong; BusError.

        `agree` is asked for once the node `of` holds its labels, beside the others: a refusal undoes everything too.
        """
        routes = sorted({label.route for _, label in hops})
        signed: dict[tuple[NodeId, str], bytes] = {}
        for node_id, label in hops:
            self._book.put(node_id, label)
        try:
            first = [hop for hop in hops if hop[0] == of]
            rest = [hop for hop in hops if hop[0] != of]
            await _all([self._push(first, signed, agree), self._push(rest, signed), self._keep(routes, signed)])
        except BaseException:
            self.undo(hops)
            raise
        if routes:
            self._start(self._store.forget_opening(routes))

    async def _push(
        self,
        hops: Sequence[Hop],
        signed: dict[tuple[NodeId, str], bytes],
        then: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        async def push(node_id: NodeId, label: Label) -> None:
            order = self._orders.make(node_id, LABEL, label)
            signed[node_id, label.route] = order
            await self._orders.send(node_id, LABEL, order)

        await _all([push(*hop) for hop in hops])
        if then is not None:
            await then()

    async def _keep(self, routes: list[str], signed: dict[tuple[NodeId, str], bytes]) -> None:
        """Beside the pushes, each of which has signed before it first waits: after the first wait here all have."""
        if not routes:
            return
        await self._store.put_opening(routes)
        await _all([self._store.keep_label(*key, order) for key, order in signed.items()])

    def drop(self, routes: Collection[str]) -> None:
        """At every hop, behind."""
        for route in routes:
            self.undo([*self._book.labels.get(route, {}).items()])

    def undo(self, hops: Sequence[Hop]) -> None:
        for node_id, label in hops:
            self._book.drop(node_id, label.route)
        self._start(self._undo(hops))

    async def undo_half_done(self) -> None:
        """What a former leader began and nobody ended. Raises BusError."""
        for routes in await self._store.openings():
            log.warning("%d routes were being laid when the former leader ended: undone", len(routes))
            self.drop(routes)
            await self._store.forget_opening(routes)

    async def order_all(self, node_id: NodeId) -> None:
        """Every label of one node anew. Raises HopError, BusError."""
        routes = [*self._book.of_node.get(node_id, ())]
        labels = [label for route in routes if (label := self._book.labels.get(route, {}).get(node_id)) is not None]
        for start in range(0, len(labels), AT_ONCE):
            await _all([self._orders.give(node_id, LABEL, label) for label in labels[start : start + AT_ONCE]])

    async def _undo(self, hops: Sequence[Hop]) -> None:
        """First in the store, so that nobody is given them again."""
        await _quietly([self._forget(node_id, label.route) for node_id, label in hops])
        await _quietly([self._take_back(node_id, label) for node_id, label in hops])
        await self._store.forget_opening(sorted({label.route for _, label in hops}))

    async def _forget(self, node_id: NodeId, route: str) -> None:
        """Also from the book once more: the writing of the label may have been heard after `undo` dropped it there."""
        for left in range(UNDO_TRIES - 1, -1, -1):
            try:
                await self._store.forget_label(node_id, route)
                break
            except BusError:
                if not left:
                    raise
                await asyncio.sleep(UNDO_AGAIN_S)
        self._book.drop(node_id, route)

    async def _take_back(self, node_id: NodeId, label: Label) -> None:
        gone = Label(label.route, label.initiator_side, label.responder_side, label.mtu, gone=True)
        async with self._at_once:
            for left in range(UNDO_TRIES - 1, -1, -1):
                try:
                    await self._orders.give(node_id, LABEL, gone)
                except HopError:
                    if not left:
                        raise
                    await asyncio.sleep(UNDO_AGAIN_S)
                else:
                    return

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        async def told() -> None:
            try:
                await work
            except ManagerError as error:
                log.info("labels are taken back late: %s", error)

        task = asyncio.get_running_loop().create_task(told())
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)


async def _all(works: Sequence[Awaitable[object]]) -> None:
    """Each to its end, then the first error: what is half sent cannot be taken back before."""
    for found in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(found, BaseException):
            raise found


async def _quietly(works: Sequence[Awaitable[object]]) -> None:
    for found in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(found, BusError | HopError):
            log.debug("%s", found)
        elif isinstance(found, BaseException):
            raise found
