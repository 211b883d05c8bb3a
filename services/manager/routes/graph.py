"""The graph of nodes and links, changed in place: one change of a link is one look-up on each side.

Searches work on small integers. `steps[u][v]` is there when both sides report the link up, and holds

    latency, price, bandwidth from u to v · the same from v to u · 1

as integers: exact sums, so that equal is equal. A latency is in nanoseconds with a hop counted below, a price in
billionths with the latency below. Slots of removed nodes are used again.
"""

from __future__ import annotations

from itertools import pairwise

from services.keys import NodeId
from services.manager.routes.errors import UnknownNodeError
from services.manager.routes.model import Kind, Link, Route

Step = tuple[int, int, int, int, int, int, int]

LATENCY, PRICE, WIDTH = 0, 1, 2
BACK = 3
HOPS = 6

_HOP_BITS = 8
_LATENCY_BITS = 52


class Graph:
    """`revision` rises with every change that may change a route. `hop_s` is counted as latency for every hop beside
    its own: what a relay costs, and more than measurements differ by chance, which would else buy relays.
    """

    def __init__(self, hop_s: float = 0.0) -> None:
        self._hop_s = hop_s
        self.revision = 0
        self.steps: list[dict[int, Step]] = []
        self.silent: set[int] = set()
        """Nodes that relay for nobody: only ends of routes."""
        self._links: list[dict[int, Link | None]] = []
        self._ids: list[NodeId] = []
        self._slots: dict[NodeId, int] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, node: NodeId) -> bool:
        return node in self._slots

    def slot(self, node: NodeId) -> int:
        """Raises UnknownNodeError."""
        try:
            return self._slots[node]
        except KeyError:
            raise UnknownNodeError(f"node '{node}' is not in the network (is it admitted and registered?)") from None

    def node_id(self, slot: int) -> NodeId:
        return self._ids[slot]

    # changes

    def add_node(self, node: NodeId, *, relays: bool = True) -> None:
        """Again for a node that is there: changes whether it relays."""
        slot = self._slots.get(node)
        if slot is None:
            slot = self._new_slot(node)
        elif relays == (slot not in self.silent):
            return
        (self.silent.discard if relays else self.silent.add)(slot)
        self.revision += 1

    def remove_node(self, node: NodeId) -> None:
        """With its links, from both sides. Raises UnknownNodeError."""
        slot = self.slot(node)
        for other in self._links[slot]:
            del self._links[other][slot]
            self.steps[other].pop(slot, None)
        self._links[slot], self.steps[slot] = {}, {}
        self.silent.discard(slot)
        del self._slots[node]
        self._free.append(slot)
        self.revision += 1

    def set_link(self, link: Link) -> None:
        """Adds or replaces what `link.src` reports. Raises UnknownNodeError."""
        src, dst = self.slot(link.src), self.slot(link.dst)
        if self._links[src].get(dst) == link:
            return
        self._links[src][dst] = link
        self._links[dst].setdefault(src, None)
        self._join(src, dst)

    def remove_link(self, src: NodeId, dst: NodeId) -> None:
        """Forgets `src`'s report, if there is one. Raises UnknownNodeError."""
        one, other = self.slot(src), self.slot(dst)
        if self._links[one].get(other) is None:
            return
        self._links[one][other] = None
        if self._links[other][one] is None:
            del self._links[one][other], self._links[other][one]
        self._join(one, other)

    def link(self, src: NodeId, dst: NodeId) -> Link | None:
        return self._links[self.slot(src)].get(self.slot(dst))

    def _new_slot(self, node: NodeId) -> int:
        if self._free:
            slot = self._free.pop()
            self._ids[slot] = node
        else:
            slot = len(self._ids)
            self._ids.append(node)
            self._links.append({})
            self.steps.append({})
        self._slots[node] = slot
        return slot

    def _join(self, one: int, other: int) -> None:
        there, back = self._links[one].get(other), self._links[other].get(one)
        self.revision += 1
        if there is None or back is None or not (there.up and back.up):
            self.steps[one].pop(other, None)
            self.steps[other].pop(one, None)
            return
        ahead, behind = _costs(there, self._hop_s), _costs(back, self._hop_s)
        self.steps[one][other] = (*ahead, *behind, 1)
        self.steps[other][one] = (*behind, *ahead, 1)

    # routes

    def describe(self, path: list[int]) -> Route:
        """A path of slots, each joined to the next by a step."""
        links = [self._links[u][v] for u, v in pairwise(path)]
        found = [link for link in links if link is not None]
        back = [self._links[v][u] for u, v in pairwise(path)]
        arrived = 1.0
        for link in found:
            arrived *= 1 - link.loss
        return Route(
            nodes=tuple(self._ids[slot] for slot in path),
            kinds=tuple(Kind(link.kind) for link in found),
            latency_s=sum(link.latency_s for link in found),
            price=sum(link.price for link in found),
            bandwidth_bps=min(link.bandwidth_bps for link in found),
            loss=1 - arrived,
            mtu=min(link.mtu for link in (*links, *back) if link is not None),
        )


def _costs(link: Link, hop_s: float) -> tuple[int, int, int]:
    latency = (max(1, round((link.latency_s + hop_s) * 1e9)) << _HOP_BITS) + 1
    return latency, (round(link.price * 1e9) << _LATENCY_BITS) + latency, link.bandwidth_bps
