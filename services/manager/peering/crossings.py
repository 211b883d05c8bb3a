"""The routes that cross a border, as the book has them, and what both sides make of a difference: a route of which
the other half is no more is taken back. Messages may be lost; this finds what they would have said.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection

from services.keys import NodeId
from services.manager.peering.model import Peer
from services.manager.route_book import RouteBook

MISSED_FOR_S = 15.0
"""What is being laid is on one side first."""


class Crossings:
    """`drop` takes a route back at every hop here."""

    def __init__(self, book: RouteBook, drop: Callable[[str], Awaitable[None]]) -> None:
        self._book, self._drop = book, drop
        self._missed: dict[tuple[NodeId, bool], dict[str, float]] = {}

    def routes(self, peer: Peer, *, begun_there: bool) -> tuple[str, ...]:
        found = []
        for route in self._book.of_node.get(peer.border, ()):
            label = self._book.labels.get(route, {}).get(peer.border)
            if label is not None:
                side = label.initiator_side if begun_there else label.responder_side
                found += [route] if side == peer.manager_id else []
        return tuple(sorted(found))

    async def compare(self, peer: Peer, *, begun_there: bool, routes: Collection[str]) -> None:
        """With what they have. Raises RefusedError, BusError."""
        now_s, place = time.monotonic(), (peer.manager_id, begun_there)
        before = self._missed.get(place, {})
        missed = {
            route: before.get(route, now_s)
            for route in self.routes(peer, begun_there=begun_there)
            if route not in frozenset(routes)
        }
        self._missed[place] = missed
        for route in [route for route, since_s in missed.items() if now_s - since_s >= MISSED_FOR_S]:
            await self._drop(route)
