"""What this node holds of routes: orders in, facts into the book, and out again when nobody needs them.

A label goes by an order, with its neighbour's expulsion, or `EXPIRES_S` after the last sign of life: an order for it,
packets that it forwarded, or, at a route's end, a session that keeps it. Each is a file in RAM, so that a restarted
process finds its facts in the kernel again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.kernel.errors import KernelError
from services.kernel.meter import Pair
from services.kernel.model import Element, Table
from services.keys import NodeId
from services.manager.model import Label
from services.node.book import Book
from services.node.errors import KeptError, NodeError, OrderError
from services.node.kept import Kept
from services.node.kernel_thread import Kernel
from services.node.label_facts import check_label, end_facts, find_end, relay_facts
from services.node.model import Facts, LinkEnd, RouteEnd

log = logging.getLogger(__name__)

EXPIRES_S, LOOK_S = 600.0, 60.0
MAX_LABELS = 131072
AT_ONCE = 2000
"""Labels looked at before others of the loop have their turn."""

_FILE = "label-"

Neighbour = Callable[[NodeId], LinkEnd | None]


@dataclass(slots=True)
class _Held:
    label: Label
    pairs: tuple[Pair, ...]
    packets: int
    alive_s: float


class Labels:
    def __init__(
        self,
        me: NodeId,
        relays: bool,
        book: Book,
        kernel: Kernel,
        neighbour: Neighbour,
        kept: Kept,
        is_border: Callable[[NodeId], bool] = lambda _: False,
    ) -> None:
        self._me, self._relays, self._is_border = me, relays, is_border
        self._book, self._kernel, self._neighbour, self._kept = book, kernel, neighbour, kept
        self._held: dict[str, _Held] = {}
        self._used: Counter[NodeId] = Counter()
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(held.label for held in self._held.values())

    def end(self, route: str) -> RouteEnd | None:
        """The route's end here; None for one that is relayed or unknown."""
        held = self._held.get(route)
        return find_end(held.label) if held is not None else None

    def uses(self, node_id: NodeId) -> int:
        """How many labels lead to that neighbour."""
        return self._used[node_id]

    def states(self) -> list[tuple[Label, float]]:
        """Each with the seconds since its last sign of life."""
        now_s = time.monotonic()
        return [(held.label, now_s - held.alive_s) for held in self._held.values()]

    def keep(self, route: str) -> None:
        """A sign of life for a route that ends here."""
        held = self._held.get(route)
        if held is not None:
            held.alive_s = time.monotonic()

    # orders

    async def take(self, label: Label) -> None:
        """Carries the order out. Raises OrderError, or another NodeError, with the reason; then nothing is held."""
        check_label(label, self._me)
        async with self._turn:
            if label.gone:
                await self._drop([label.route])
                return
            have = self._held.get(label.route)
            if have is not None and have.label == label:
                have.alive_s = time.monotonic()
                return
            if have is None and len(self._held) >= MAX_LABELS:
                raise OrderError(f"this node holds {MAX_LABELS} labels already")
            facts = self._facts(label)
            try:
                report = await self._book.set(_owner(label.route), facts)
                if report.failed:
                    raise OrderError(f"the kernel refused: {report.failed[0].reason}")
                self._kept.write(_FILE + label.route, label)
            except (NodeError, KernelError) as error:
                await self._drop([label.route])
                raise error if isinstance(error, NodeError) else OrderError(str(error)) from None
            self._hold(label, facts)

    async def drop(self, *routes: str) -> None:
        """It is no error that there is none."""
        async with self._turn:
            await self._drop(routes)

    async def drop_through(self, node_id: NodeId) -> None:
        """All that lead to that neighbour, which was expelled."""
        async with self._turn:
            await self._drop([route for route, held in self._held.items() if node_id in _sides(held.label)])

    def facts_through(self, node_id: NodeId, link: LinkEnd) -> Mapping[str, Facts]:
        """What those that lead to a neighbour become when its link does: by owner, for the book."""
        found = [held for held in self._held.values() if node_id in _sides(held.label)]

        def neighbour(other: NodeId) -> LinkEnd | None:
            return link if other == node_id else self._neighbour(other)

        changes = {}
        for held in found:
            facts = _make_facts(held.label, neighbour)
            held.pairs = _pairs(facts)
            changes[_owner(held.label.route)] = facts
        return changes

    # life

    async def restore(self) -> None:
        """What was kept goes into the book; what has no neighbour any more is forgotten."""
        changes: dict[str, Facts] = {}
        for name in self._kept.names(_FILE):
            label = self._kept.read(name, Label)
            try:
                if label is None or name != _FILE + label.route:
                    raise OrderError("not understood")
                check_label(label, self._me)
                facts = self._facts(label)
            except OrderError as error:
                log.info("label '%s' is not restored: %s", name, error)
                self._kept.remove(name)
                continue
            changes[_owner(label.route)] = facts
            self._hold(label, facts)
        await self._book.set_many(changes)

    async def run(self) -> None:
        """Lets go what nobody needs, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.expire()
            except (NodeError, KernelError) as error:
                log.warning("labels are not looked through: %s", error)

    async def expire(self, after_s: float = EXPIRES_S) -> None:
        counters = await self._kernel.counters() if any(held.pairs for held in self._held.values()) else {}
        now_s, gone = time.monotonic(), []
        for number, (route, held) in enumerate(tuple(self._held.items())):
            packets = sum(counters[pair].packets for pair in held.pairs if pair in counters)
            if packets != held.packets:
                held.packets, held.alive_s = packets, now_s
            elif now_s - held.alive_s >= after_s:
                gone.append(route)
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        if gone:
            log.info("%d labels without traffic or renewal are dropped", len(gone))
            await self.drop(*gone)

    # inside

    def _facts(self, label: Label) -> Facts:
        """Raises OrderError."""
        sides = _sides(label)
        if len(sides) > 1 and not self._relays and not any(map(self._is_border, sides)):
            raise OrderError("this node relays for nobody (set 'relays: true' in its node.yaml)")
        return _make_facts(label, self._neighbour)

    def _hold(self, label: Label, facts: Facts) -> None:
        self._forget(label.route)
        self._held[label.route] = _Held(label, _pairs(facts), 0, time.monotonic())
        self._used.update(_sides(label))

    def _forget(self, route: str) -> None:
        held = self._held.pop(route, None)
        if held is not None:
            self._used.subtract(_sides(held.label))

    async def _drop(self, routes: list[str] | tuple[str, ...]) -> None:
        for route in routes:
            self._forget(route)
            try:
                self._kept.remove(_FILE + route)
            except KeptError as error:
                log.warning("%s", error)
        await self._book.set_many({_owner(route): () for route in routes})


def _owner(route: str) -> str:
    return f"label:{route}"


def _sides(label: Label) -> list[NodeId]:
    return [side for side in (label.initiator_side, label.responder_side) if side is not None]


def _pairs(facts: Facts) -> tuple[Pair, ...]:
    return tuple(
        (str(fact.value[0]), str(fact.value[1]), str(fact.value[2]))
        for fact in facts
        if isinstance(fact, Element) and fact.table is Table.PAIRS
    )


def _make_facts(label: Label, neighbour: Neighbour) -> Facts:
    """Raises OrderError."""
    links = []
    for side in _sides(label):
        link = neighbour(side)
        if link is None:
            raise OrderError(f"there is no link to node '{side}'")
        links.append(link)
    end = find_end(label)
    return tuple(end_facts(end, links[0]) if end is not None else relay_facts(label, *links))
