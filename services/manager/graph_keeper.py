"""Keeps the route computer's graph equal to what nodes report: records first, then links while they are leased.

A link counts where both sides report it up (`routes.graph`); a node carries others' routes where its record says so.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from services.keys import NodeId
from services.manager.ending import end_tasks
from services.manager.followed import Following
from services.manager.registry import Registry
from services.manager.routes.graph import Graph
from services.manager.routes.model import Link
from services.manager.signed import decode
from services.manager.store import LINK_LEASE_S, Store

SWEEP_S = 5.0
HOP_S = 0.001


class GraphKeeper:
    """`heard` is when each node reported last, by the monotonic clock."""

    def __init__(self, registry: Registry, leased_s: float = LINK_LEASE_S) -> None:
        self.graph = Graph(HOP_S)
        self.heard: dict[NodeId, float] = {}
        self._registry, self._leased_s = registry, leased_s
        self._reports: dict[NodeId, dict[NodeId, Link]] = {}
        self._reporters: defaultdict[NodeId, set[NodeId]] = defaultdict(set)
        self._following = Following()
        self._task: asyncio.Task[None] | None = None

    async def start(self, store: Store) -> None:
        """Raises BusError."""
        for node_id in self._registry.nodes:
            self._take_node(node_id)
        self._registry.on_record.append(self._take_node)
        self._registry.on_expelled.append(self._take_node)
        await self._following.start(store, {"links": self._take_links})
        self._task = asyncio.get_running_loop().create_task(self._keep_sweeping())

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])
        await self._following.stop()

    def follow_anew(self) -> None:
        self._following.follow_anew()

    @property
    def links_up(self) -> int:
        """Links that both sides report up."""
        return sum(map(len, self.graph.steps)) // 2

    def links_of(self, node_id: NodeId) -> int:
        """How many of them."""
        return len(self.graph.steps[self.graph.slot(node_id)]) if node_id in self.graph else 0

    def reports(self) -> list[Link]:
        return [link for links in self._reports.values() for link in links.values()]

    def report(self, src: NodeId, dst: NodeId) -> Link | None:
        """Also of a node that is not of this network, beyond the border."""
        return self._reports.get(src, {}).get(dst)

    def is_heard(self, node_id: NodeId) -> bool:
        return node_id in self._reports

    def _take_node(self, node_id: NodeId) -> None:
        known = self._registry.nodes.get(node_id)
        if known is None:
            if node_id in self.graph:
                self.graph.remove_node(node_id)
            return
        is_new = node_id not in self.graph
        self.graph.add_node(node_id, relays=known.record.relays)
        if is_new:
            links = [*self._reports.get(node_id, {}).values()]
            links += [self._reports[other][node_id] for other in self._reporters.get(node_id, ())]
            for link in links:
                self._set(link)

    def _take_links(self, key: str, value: bytes | None) -> None:
        node_id = NodeId(key)
        links = () if value is None else decode(value, tuple[Link, ...], "links")
        self._replace(node_id, {link.dst: link for link in links if link.src == node_id})
        if value is None:
            self._forget(node_id)
        else:
            self.heard[node_id] = time.monotonic()

    def _replace(self, node_id: NodeId, links: dict[NodeId, Link]) -> None:
        """Adds before it removes, so that no route is lost in between."""
        before = self._reports.get(node_id, {})
        self._reports[node_id] = links
        for link in links.values():
            self._reporters[link.dst].add(node_id)
            self._set(link)
        for dst in before.keys() - links.keys():
            self._reporters[dst].discard(node_id)
            if not self._reporters[dst]:
                del self._reporters[dst]
            if node_id in self.graph and dst in self.graph:
                self.graph.remove_link(node_id, dst)

    def _set(self, link: Link) -> None:
        if link.src in self.graph and link.dst in self.graph:
            self.graph.set_link(link)

    def _forget(self, node_id: NodeId) -> None:
        self._reports.pop(node_id, None)
        self.heard.pop(node_id, None)

    async def _keep_sweeping(self) -> None:
        """A lease that ran out is not told by the bucket."""
        while True:
            await asyncio.sleep(min(SWEEP_S, self._leased_s / 4))
            late = time.monotonic() - self._leased_s
            for node_id in [node_id for node_id, heard in self.heard.items() if heard < late]:
                self._replace(node_id, {})
                self._forget(node_id)
