"""Which clusters there are besides this one, and what of theirs may be used here, as the buckets say it; followed by
every manager. It only knows: `keeper` speaks with them, `decisions` changes what stands here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.manager.errors import WordsError
from services.manager.followed import Following
from services.manager.model import Service
from services.manager.offer import check_name, read_service
from services.manager.peering.model import Import, Peer
from services.manager.signed import decode
from services.manager.store import SERVICE_LEASE_S, Store

Key = tuple[NodeId, NodeId, str]
"""Cluster, node, service."""


class Imported(NamedTuple):
    cluster: NodeId
    service: Service
    words: Import
    until_s: float


class Peers:
    """`on_change` hears of each change of a peer, with its id, after it is known here."""

    def __init__(self) -> None:
        self.all: dict[NodeId, Peer] = {}
        self.on_change: list[Callable[[NodeId], None]] = []
        self._imports: dict[Key, Imported] = {}
        self._following = Following()

    async def start(self, store: Store) -> None:
        """Raises BusError."""
        await self._following.start(store, {"peers": self._take_peer, "imports": self._take_import})

    async def stop(self) -> None:
        await self._following.stop()

    def follow_anew(self) -> None:
        self._following.follow_anew()

    @property
    def peered(self) -> dict[NodeId, Peer]:
        return {manager: peer for manager, peer in self.all.items() if peer.stage == "peered"}

    def borders_at(self, border: NodeId) -> list[Peer]:
        """Those that are peered by that border of ours."""
        return [peer for _, peer in sorted(self.peered.items()) if peer.border == border]

    def find(self, text: str) -> NodeId:
        """A known peer by id, an id's unique beginning, or its name. Raises WordsError."""
        lower = text.lower()
        found = [manager for manager, peer in self.all.items() if peer.name and peer.name == lower]
        found = found or [manager for manager in self.all if lower and manager.startswith(lower)]
        if len(found) == 1:
            return found[0]
        try:
            return read_node_id(text)
        except IdentityError:
            raise WordsError(f"'{text[:80]}' is {len(found) or 'no'} cluster known here (see them: peers)") from None

    # what of theirs may be used

    def imports(self, name: str = "", node_id: str = "", cluster: str = "") -> list[Imported]:
        """All, of a name, of a node, of a cluster; sorted."""
        now_s = time.monotonic()
        found = [one for one in self._imports.values() if one.until_s > now_s and one.cluster in self.peered]
        wanted = [
            one
            for one in found
            if name in {"", one.service.name} and node_id in {"", one.service.node_id} and cluster in {"", one.cluster}
        ]
        return sorted(wanted, key=lambda one: (one.service.name, one.cluster, one.service.node_id))

    def clusters_of(self, node_id: NodeId, service: str) -> list[Peer]:
        """Who says that they have that service of that node; all but one of them say it wrongly."""
        return [self.all[one.cluster] for one in self.imports(service, node_id)]

    def named(self, name: str) -> NodeId | None:
        """`NAME.CLUSTER`: whom that cluster vouches for, under the name that it has here."""
        node, dot, cluster = name.lower().partition(".")
        found = (one for one in self.imports() if dot and self.all[one.cluster].name == cluster)
        return next((one.service.node_id for one in found if one.words.called == node), None)

    # what the buckets say

    def _take_peer(self, key: str, value: bytes | None) -> None:
        manager = NodeId(key)
        if value is None:
            self.all.pop(manager, None)
        else:
            peer = decode(value, Peer, "peer")
            if self.all.get(manager) == peer:
                return
            self.all[manager] = peer
        for hear in self.on_change:
            hear(manager)

    def note(self, peer: Peer | None, manager: NodeId) -> None:
        """Known at once, before the bucket says it."""
        self._take_peer(manager, None if peer is None else msgspec.json.encode(peer))

    def _take_import(self, key: str, value: bytes | None) -> None:
        cluster, node_id, name = key.split(".")
        place = NodeId(cluster), NodeId(node_id), name
        if value is None:
            self._imports.pop(place, None)
            return
        words = decode(value, Import, "import")
        until_s = time.monotonic() + SERVICE_LEASE_S
        self._imports[place] = Imported(place[0], read_service(words.signed), words, until_s)


def check_called(text: str) -> str:
    """A name for a cluster, as the mesh's names are. Raises WordsError."""
    return check_name(text.lower()) if text else ""
