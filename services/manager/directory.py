"""The services that nodes offer now: followed by every manager, each as long as it is leased."""

from __future__ import annotations

import time
from typing import NamedTuple

from services.keys import NodeId
from services.manager.errors import WordsError
from services.manager.followed import Following
from services.manager.model import Service
from services.manager.offer import read_service
from services.manager.signed import decode
from services.manager.store import MAX_SERVICES, SERVICE_LEASE_S, Store

MOST_FOUND = 48
"""Of an answer; more would not fit a message. Ask for a name or a node."""


class Offer(NamedTuple):
    service: Service
    signed: bytes
    until_s: float


class Directory:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._offers: dict[tuple[NodeId, str], Offer] = {}
        self._following = Following()

    async def start(self) -> None:
        """Raises BusError."""
        await self._following.start(self._store, {"services": self._take})

    async def stop(self) -> None:
        await self._following.stop()

    def follow_anew(self) -> None:
        self._following.follow_anew()

    def find(self, name: str = "", node_id: str = "") -> list[Offer]:
        """All, of a name, of a node; sorted."""
        now = time.monotonic()
        for key in [key for key, offer in self._offers.items() if offer.until_s < now]:
            del self._offers[key]
        found = [key for key in self._offers if (not name or key[1] == name) and (not node_id or key[0] == node_id)]
        return [self._offers[key] for key in sorted(found, key=lambda key: (key[1], key[0]))]

    def forget(self, node_id: NodeId) -> None:
        """It was expelled; the bucket says so a moment later."""
        for key in [key for key in self._offers if key[0] == node_id]:
            del self._offers[key]

    async def take_all(self, node_id: NodeId, data: bytes) -> None:
        """Everything that a node offers now; what is missing is withdrawn. Raises WordsError, BusError."""
        offered = decode(data, tuple[bytes, ...], f"services of node '{node_id}'")
        if len(offered) > MAX_SERVICES:
            raise WordsError(f"node '{node_id}' offers {len(offered)} services, at most {MAX_SERVICES}")
        kept = {(await self._store.put_service(node_id, one)).name for one in offered}
        for offer in self.find(node_id=node_id):
            if offer.service.name not in kept:
                await self._store.withdraw_service(node_id, offer.service.name)

    def _take(self, key: str, value: bytes | None) -> None:
        node_id, _, name = key.partition(".")
        if value is None:
            self._offers.pop((NodeId(node_id), name), None)
        else:
            self._offers[NodeId(node_id), name] = Offer(read_service(value), value, time.monotonic() + SERVICE_LEASE_S)


def found_words(offers: list[Offer]) -> tuple[bytes, ...]:
    return tuple(offer.signed for offer in offers[:MOST_FOUND])
