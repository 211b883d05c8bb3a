"""Who keeps links with whom: few enough for every node, and enough for routes that do not fail together. Pure.

A small network is meshed in full. In a larger one the nodes that relay stand on several rings, each in an order of its
own that follows from their ids alone, and are linked to both sides: the rings together are a random graph in which all
have the same number of links, and who comes or goes changes a few links beside its places. Who relays for nobody is
linked to a few that do, those that follow from its id; links among such nodes would carry nothing. And everyone is
linked to every manager's node.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from services.keys import NodeId

MOST = 12
"""Links of one node to others than the managers', if it relays; `MOST_LEAVES` more to nodes that do not."""

RINGS = MOST // 2
RELAYS_OF_ONE = 4
MOST_LEAVES = 20

Links = dict[NodeId, frozenset[NodeId]]


def plan_neighbours(relays: Mapping[NodeId, bool], managers: Collection[NodeId]) -> Links:
    """Each node's neighbours, the same from both sides. `relays`: all nodes, and whether they carry others' routes."""
    found: defaultdict[NodeId, set[NodeId]] = defaultdict(set)
    hubs = [node_id for node_id in managers if node_id in relays]
    rest = [node_id for node_id in relays if node_id not in managers]
    _join(found, ((hub, node_id) for hub in hubs for node_id in relays))
    if len(rest) <= MOST + 1:
        _join(found, ((one, other) for one in rest for other in rest))
    else:
        carrying = [node_id for node_id in rest if relays[node_id]]
        _join(found, _rings(carrying))
        _join(found, _leaves([node_id for node_id in rest if not relays[node_id]], carrying))
    return {node_id: frozenset(found[node_id]) for node_id in relays}


def _join(found: defaultdict[NodeId, set[NodeId]], pairs: Iterable[tuple[NodeId, NodeId]]) -> None:
    for one, other in pairs:
        if one != other:
            found[one].add(other)
            found[other].add(one)


def _rings(nodes: list[NodeId]) -> Iterable[tuple[NodeId, NodeId]]:
    if len(nodes) <= MOST + 1:
        yield from ((one, other) for one in nodes for other in nodes)
        return
    for ring in range(RINGS):
        order = sorted(nodes, key=lambda node_id: _places(node_id)[ring])
        yield from zip(order, [*order[1:], order[0]], strict=True)


def _leaves(leaves: list[NodeId], relays: list[NodeId]) -> Iterable[tuple[NodeId, NodeId]]:
    """Each leaf goes to the relays that a hash of both puts first, and past those that have enough."""
    load: Counter[NodeId] = Counter()
    for leaf in sorted(leaves):
        ranked = sorted(relays, key=lambda relay: _rank(leaf, relay))
        chosen = [relay for relay in ranked if load[relay] < MOST_LEAVES][:RELAYS_OF_ONE]
        load.update(chosen)
        yield from ((leaf, relay) for relay in chosen)


@lru_cache(maxsize=1 << 14)
def _places(node_id: NodeId) -> tuple[int, ...]:
    digest = hashlib.blake2b(node_id.encode(), digest_size=8 * RINGS, person=b"skywire rings").digest()
    return tuple(int.from_bytes(digest[8 * ring : 8 * ring + 8]) for ring in range(RINGS))


@lru_cache(maxsize=1 << 14)
def _rank(leaf: NodeId, relay: NodeId) -> bytes:
    return hashlib.blake2b(bytes.fromhex(leaf + relay), digest_size=8, person=b"skywire leaves").digest()
