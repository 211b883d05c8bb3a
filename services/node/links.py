"""The links of this node: with whom, by order of a manager; how, by what both records say; whether, by a keeper each.

A neighbour that is ordered no longer stays while labels lead to it, unless it was expelled. Of two that claim one link
key, the one keeps it that answers probes under its identity; the other waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Protocol

from services.addresses import link_address
from services.kernel.errors import KernelError
from services.kernel.model import Endpoint, Peer, Report
from services.keys import Identity, NodeId
from services.manager.asks import Neighbours
from services.manager.ending import end_tasks
from services.manager.errors import WordsError
from services.manager.record import NodeRecord, read_record
from services.manager.routes.model import Link as LinkReport
from services.node.book import Book
from services.node.config import Config
from services.node.errors import NodeError
from services.node.figures import Figures
from services.node.keeper import INTERVAL_S, Keeper, Link, Probes
from services.node.kept import Kept
from services.node.model import Facts, LinkEnd, LinkState
from services.node.neighbours import candidates, find_wire, kind_of, link_end, link_facts
from services.node.own_record import OwnRecord

log = logging.getLogger(__name__)

MAX_LINKS = 4096
TIDY_S, RIVAL_S = 2.5, 5.0
MANY_LABELS = 500
AT_FULL_PACE = 64
"""More links than so many are probed less often each."""

_FILE = "neighbours"


class Follower(Protocol):
    """What changes with a link: labels."""

    def uses(self, node_id: NodeId) -> int: ...

    def facts_through(self, node_id: NodeId, link: LinkEnd) -> Mapping[str, Facts]: ...

    async def drop_through(self, node_id: NodeId) -> None: ...


class Links:
    def __init__(
        self,
        identity: Identity,
        config: Config,
        own: OwnRecord,
        book: Book,
        probes: Probes,
        kept: Kept,
    ) -> None:
        self._me, self._address = identity.node_id, link_address(identity.link_key)
        self._config, self._own, self._book, self._probes, self._kept = config, own, book, probes, kept
        self._links: dict[NodeId, Link] = {}
        self._rivals: dict[NodeId, tuple[NodeRecord, str]] = {}
        self._tasks: dict[NodeId, asyncio.Task[None]] = {}
        self._follower: Follower | None = None
        self._turn = asyncio.Lock()
        self._sound: dict[bytes, NodeRecord] = {}
        self._borders: frozenset[NodeId] = frozenset()
        self._is_started = False
        self._told: Callable[[str], None] = log.warning
        self.news = asyncio.Event()
        """Set when `report` says something new."""

    def follow(self, follower: Follower, told: Callable[[str], None]) -> None:
        """`told` gets a sentence for each record that is refused."""
        self._follower, self._told = follower, told

    # what others ask

    def neighbour(self, node_id: NodeId) -> LinkEnd | None:
        link = self._links.get(node_id)
        return link.found_end if link is not None else None

    def is_border(self, node_id: NodeId) -> bool:
        """Whether it is that of another cluster, by order of a manager."""
        return node_id in self._borders

    def find(self, node_id: NodeId) -> Link | None:
        return self._links.get(node_id)

    def states(self) -> list[LinkState]:
        return [link.state for link in self._links.values()]

    async def settle(self, within_s: float) -> None:
        """Until those that a restarted process has taken over answer: to report them down would end their routes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while any(link.is_settled and not link.figures.is_up for link in self._links.values()):
                    self.news.clear()
                    await self.news.wait()

    def report(self) -> tuple[LinkReport, ...]:
        """As they are measured, for the manager."""
        for link in self._links.values():
            link.figures.report()
        self.news.clear()
        return tuple(
            LinkReport(
                self._me,
                link.node_id,
                min(60.0, link.figures.rtt_s / 2),
                loss=link.figures.loss,
                kind=kind_of(link.end),
                up=link.figures.is_up,
                mtu=link.mtu,
            )
            for link in self._links.values()
        )

    # from start to end

    async def restore(self) -> None:
        """The neighbours that were kept, with their facts, into the book."""
        kept = self._kept.read(_FILE, Neighbours)
        if kept is not None:
            await self._take(kept, is_settled=True)

    def start(self, brought: Report) -> None:
        """`brought` is what the kernel did not have: such neighbours are sought, the others are found there."""
        self._is_started = True
        new = {change.fact.public_key for change in brought.done if isinstance(change.fact, Peer)}
        for link in self._links.values():
            link.is_settled = link.is_settled and link.end.link_key not in new
            self._keep(link)

    async def run(self) -> None:
        """Tidies up, for ever."""
        while True:
            await asyncio.sleep(TIDY_S)
            try:
                await self.tidy()
            except (NodeError, KernelError) as error:
                log.warning("links are not tidied: %s", error)

    async def close(self) -> None:
        await end_tasks(set(self._tasks.values()))
        self._tasks.clear()

    # orders

    async def take(self, order: Neighbours) -> None:
        """Raises NodeError, KernelError."""
        async with self._turn:
            await self._take(order, is_settled=False)
            self._kept.write(_FILE, order)
            await self._tidy()

    async def expel(self, node_ids: Collection[NodeId]) -> None:
        """At once, with the labels that lead there. What is kept forgets them too."""
        async with self._turn:
            kept = self._kept.read(_FILE, Neighbours)
            if kept is not None:
                records = tuple(signed for signed in kept.records if _by(signed) not in {"", *node_ids})
                self._kept.write(_FILE, Neighbours(records, kept.seen))
            for node_id in node_ids:
                self._rivals.pop(node_id, None)
                if node_id in self._links:
                    if self._follower is not None:
                        await self._follower.drop_through(node_id)
                    await self._remove(node_id)

    async def refresh(self) -> None:
        """This node's own addresses changed."""
        async with self._turn:
            for link in list(self._links.values()):
                await self._put(link.record, link.seen, link.is_settled)

    async def tidy(self) -> None:
        """Lets go who is neither ordered nor needed, and gives a link key to its next claimant."""
        async with self._turn:
            await self._tidy()

    async def _take(self, order: Neighbours, is_settled: bool) -> None:
        records = self._read(order)
        self._borders = frozenset(order.borders)
        for node_id, link in self._links.items():
            link.is_wanted = node_id in records
        self._rivals = {node_id: rival for node_id, rival in self._rivals.items() if node_id in records}
        for node_id, record in records.items():
            await self._put(record, order.seen.get(node_id, ""), is_settled)

    def _read(self, order: Neighbours) -> dict[NodeId, NodeRecord]:
        """The sound ones; of a neighbour whose record is older than that which is known, the known one."""
        found: dict[NodeId, NodeRecord] = {}
        before, self._sound = self._sound, {}
        for signed in order.records[:MAX_LINKS]:
            try:
                self._sound[signed] = sound = before.get(signed) or read_record(signed)
            except WordsError as error:
                self._told(f"a neighbour's record is refused: {error}")
                continue
            record = self._newest(sound)
            if record.node_id != self._me and record.link_key != self._own.record.link_key:
                found[record.node_id] = record
        return found

    def _newest(self, record: NodeRecord) -> NodeRecord:
        link = self._links.get(record.node_id)
        if link is None or record == link.record or record.sequence > link.record.sequence:
            return record
        self._told(f"an older record of node '{record.node_id}' is refused")
        return link.record

    # one link

    async def _put(self, record: NodeRecord, seen: str, is_settled: bool) -> None:
        """Makes the link, or makes it as the record is now."""
        node_id, old = record.node_id, self._links.get(record.node_id)
        holder = next((other for other in self._links.values() if other.record.link_key == record.link_key), None)
        if holder is not None and holder.node_id != node_id:
            if node_id not in self._rivals:
                self._told(f"node '{node_id}' claims the link key of node '{holder.node_id}': it waits")
            self._rivals[node_id] = (record, seen)
            return
        wired = find_wire(self._own.record, record, self._config.wire_ranges)
        end = link_end(record, wired)
        if old is not None and old.record == record and old.end == end and old.wired == wired:
            old.seen = seen
            return
        now_s = asyncio.get_running_loop().time()
        if old is not None and old.end == end and old.wired == wired and old.figures.is_up:
            old.record, old.seen = record, seen  # only more places to look for it
            return
        figures = old.figures if old is not None and old.end == end else Figures(now_s)
        link = Link(record, wired, end, figures, seen, is_settled=is_settled)
        if old is not None:
            link.renewed_s = old.renewed_s
            link.mtu = min(end.mtu, old.mtu) if old.end == end else end.mtu
        if old is not None and old.address != link.address:
            self._probes.forget(old.address)
        changes = self._follower.facts_through(node_id, end) if old is not None and self._follower is not None else {}
        await self._book.set_many({link.owner: link_facts(self._address, record, wired, None), **changes})
        self._probes.know(link.address, node_id)
        self._links[node_id] = link
        if self._is_started:
            self._keep(link)

    def _keep(self, link: Link) -> None:
        if (old := self._tasks.pop(link.node_id, None)) is not None:
            old.cancel()
        port, asked = self._config.probe_port, (self._places, self._has_many_labels, self.news.set)
        keeper = Keeper(link, self._address, self._book, self._probes, port, *asked)
        self._tasks[link.node_id] = task = asyncio.get_running_loop().create_task(keeper.run(self._interval_s))
        task.add_done_callback(_look_at)

    async def _remove(self, node_id: NodeId) -> None:
        link = self._links.pop(node_id)
        if (task := self._tasks.pop(node_id, None)) is not None:
            await end_tasks({task})
        self._probes.forget(link.address)
        self.news.set()
        await self._book.set(link.owner, ())

    async def _tidy(self) -> None:
        uses = self._follower.uses if self._follower is not None else lambda _: 0
        for node_id in [node_id for node_id, link in self._links.items() if not link.is_wanted and not uses(node_id)]:
            await self._remove(node_id)
        now_s = asyncio.get_running_loop().time()
        for node_id, (record, seen) in list(self._rivals.items()):
            holder = next((one for one in self._links.values() if one.record.link_key == record.link_key), None)
            if holder is not None:
                if holder.figures.is_up or now_s - holder.figures.since_s < RIVAL_S or uses(holder.node_id):
                    continue
                await self._remove(holder.node_id)
                self._rivals[holder.node_id] = (holder.record, holder.seen)
            del self._rivals[node_id]
            await self._put(record, seen, is_settled=False)

    def _places(self, link: Link) -> list[Endpoint]:
        return candidates(link.record, link.seen, self._config.link_ranges, self._own.addresses)

    def _has_many_labels(self, link: Link) -> bool:
        return self._follower is not None and self._follower.uses(link.node_id) > MANY_LABELS

    def _interval_s(self) -> float:
        return INTERVAL_S * max(1.0, len(self._links) / AT_FULL_PACE)


def _look_at(task: asyncio.Task[None]) -> None:
    """What runs for ever and ends is a mistake of ours, to be seen."""
    if not task.cancelled() and task.exception() is not None:
        log.critical("a link is kept no more", exc_info=task.exception())


def _by(signed: bytes) -> str:
    """Whose record it is, or nobody's."""
    try:
        return read_record(signed).node_id
    except WordsError:
        return ""
