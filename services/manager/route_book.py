"""Which routes there are and which hop holds what of them, as the labels bucket says it; followed by every manager."""

from __future__ import annotations

from collections import Counter, defaultdict

from services.keys import NodeId
from services.manager.followed import Following
from services.manager.model import Label
from services.manager.signed import Order, Signed, decode
from services.manager.store import Store


class RouteBook:
    """`labels` is route → hop → label, `of_node` the routes that a node is a hop of, `begun_by` how many each began."""

    def __init__(self) -> None:
        self.labels: dict[str, dict[NodeId, Label]] = {}
        self.of_node: defaultdict[NodeId, set[str]] = defaultdict(set)
        self.begun_by: Counter[NodeId] = Counter()
        self._following = Following()

    async def start(self, store: Store) -> None:
        """Raises BusError."""
        await self._following.start(store, {"labels": self._take})

    async def stop(self) -> None:
        await self._following.stop()

    def follow_anew(self) -> None:
        self._following.follow_anew()

    def put(self, node_id: NodeId, label: Label) -> None:
        """Also by who is about to write it, so that it is known at once."""
        hops = self.labels.setdefault(label.route, {})
        if node_id not in hops:
            self.of_node[node_id].add(label.route)
            self.begun_by[node_id] += label.initiator_side is None
        hops[node_id] = label

    def drop(self, node_id: NodeId, route: str) -> None:
        hops = self.labels.get(route, {})
        label = hops.pop(node_id, None)
        if label is None:
            return
        if not hops:
            del self.labels[route]
        self.begun_by[node_id] -= label.initiator_side is None
        if not self.begun_by[node_id]:
            del self.begun_by[node_id]
        self.of_node[node_id].discard(route)
        if not self.of_node[node_id]:
            del self.of_node[node_id]

    def initiator(self, route: str) -> NodeId | None:
        hops = self.labels.get(route, {})
        return next((node_id for node_id, label in hops.items() if label.initiator_side is None), None)

    def nodes(self, route: str) -> tuple[NodeId, ...]:
        """From initiator to responder, as far as the labels lead; of one that crosses a border, the half here."""
        hops, found = self.labels.get(route, {}), list[NodeId]()
        node_id = next((node_id for node_id, label in hops.items() if label.initiator_side not in hops), None)
        while node_id is not None and node_id not in found and node_id in hops:
            found.append(node_id)
            node_id = hops[node_id].responder_side
        return tuple(found)

    def _take(self, key: str, value: bytes | None) -> None:
        node_id, _, route = key.partition(".")
        if value is None:
            self.drop(NodeId(node_id), route)
            return
        order = decode(decode(value, Signed, "label").text, Order, "label")
        self.put(NodeId(node_id), decode(order.body, Label, "label"))
