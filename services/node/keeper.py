"""Keeps one link: finds where the neighbour is, measures it once a second, and sees within two seconds that it is gone.

Found is a neighbour that answers a probe, which is authenticated by its identity: a record's word for an address or a
link key counts for nothing. While it is sought, its peer aims at one place after the other; WireGuard asks each only
once in five seconds, so the peer is renewed, which also forgets how late the neighbour's clock once was. Once found,
the peer's endpoint is WireGuard's own affair: it may roam. Where the neighbour's kernel goes on without its node, what
passes there is left in peace.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address
from typing import Any, Protocol

from services.kernel.errors import KernelError
from services.kernel.model import LINKS, Endpoint, Peer
from services.keys import NodeId
from services.manager.record import NodeRecord
from services.manager.routes.model import Kind
from services.node.book import Book
from services.node.errors import NodeError, ProbeLostError
from services.node.figures import LOST_IN_A_ROW, Figures
from services.node.model import LinkEnd, LinkState
from services.node.neighbours import Wire, kind_of, link_facts
from services.node.silence import is_refused
from services.node.underlay import write_endpoint

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
WHOLE_EVERY = 8
"""Each so many probes one is as long as the link's longest packet."""

SMALLER = (1376, 1328, 1280)
"""MTUs for underlays that carry less than 1500 bytes; whole blocks of 16, as WireGuard pads."""

FIRST_S, SEEK_S, SLOWEST_S = 0.25, 0.75, 6.0
TRIES = 2
STILL_S, REFUSED_WITHIN_S = 15.0, 0.5
"""So long is a neighbour believed to forward that said so: kernels refuse but once a second."""

RENEW_MANY_S = 60.0
"""So seldom is a peer renewed that many labels lead to: each of its networks is added again."""


class Probes(Protocol):
    def know(self, address: IPv6Address, node_id: NodeId) -> None: ...

    def forget(self, address: IPv6Address) -> None: ...

    def probe(
        self, to: IPv6Address, *, source: IPv6Address | None = None, size: int = 0, within_s: float
    ) -> Coroutine[Any, Any, float]: ...


@dataclass(slots=True)
class Link:
    """One neighbour. `is_settled` where the kernel's endpoint may be right: it was found before. `mtu` is what is found
    to get through, at most that of `end`.
    """

    record: NodeRecord
    wired: Wire | None
    end: LinkEnd
    figures: Figures
    seen: str = ""
    is_wanted: bool = True
    is_settled: bool = False
    aimed_at: Endpoint | None = None
    why: str = "it was not tried yet"
    renewed_s: float = field(default=-RENEW_MANY_S)
    mtu: int = 0

    def __post_init__(self) -> None:
        self.mtu = self.mtu or self.end.mtu

    @property
    def found_end(self) -> LinkEnd:
        return replace(self.end, mtu=self.mtu)

    @property
    def node_id(self) -> NodeId:
        return self.record.node_id

    @property
    def owner(self) -> str:
        return f"link:{self.record.node_id}"

    @property
    def address(self) -> IPv6Address:
        return IPv6Address(self.record.link_address)

    @property
    def state(self) -> LinkState:
        endpoint = write_endpoint(self.aimed_at) if self.aimed_at is not None else ""
        if self.wired is not None:
            endpoint = str(self.wired.remote)
        figures = self.figures
        return LinkState(
            self.node_id,
            kind_of(self.end),
            figures.is_up,
            figures.rtt_s,
            figures.loss,
            figures.since_s,
            self.end.device,
            self.mtu,
            self.address,
            endpoint,
            "" if figures.is_up else self.why,
        )


class Keeper:
    def __init__(
        self,
        link: Link,
        own: IPv6Address,
        book: Book,
        probes: Probes,
        probe_port: int,
        places: Callable[[Link], list[Endpoint]],
        has_many_labels: Callable[[Link], bool],
        news: Callable[[], None],
    ) -> None:
        """`own` is this node's link address; `news` is called when the figures are worth a report."""
        self._link, self._own, self._book, self._probes = link, own, book, probes
        self._places, self._has_many_labels, self._news = places, has_many_labels, news
        self._probe_port = probe_port
        self._count = 0
        self._forwards_until_s = 0.0

    async def run(self, interval_s: Callable[[], float]) -> None:
        """For ever."""
        while True:
            try:
                if self._link.figures.is_up:
                    await asyncio.sleep(interval_s() * random.uniform(0.9, 1.1))  # noqa: S311  # only spreads them
                    await self._measure()
                else:
                    await self._seek()
            except (NodeError, KernelError) as error:
                self._link.why = str(error)
                log.warning("link to '%s': %s", self._link.node_id, error)
                await asyncio.sleep(SLOWEST_S)

    # while it is up

    async def _measure(self) -> None:
        figures, clock = self._link.figures, asyncio.get_running_loop().time
        self._count += 1
        size = self._link.mtu if self._count % WHOLE_EVERY == 0 else 0
        for _ in range(LOST_IN_A_ROW):
            try:
                rtt_s = await self._ask(figures.patience_s, size)
            except ProbeLostError as error:
                figures.lost(clock())
                self._link.why = str(error)
                size = 0
            else:
                figures.answered(rtt_s, clock())
                break
        if not figures.is_up:
            log.info("link to '%s' is down", self._link.node_id)
        if figures.has_news():
            self._news()

    # while it is down

    async def _seek(self) -> None:
        link = self._link
        if link.is_settled:
            for _ in range(LOST_IN_A_ROW):
                if await self._try(SEEK_S if not self._forwards_until_s else INTERVAL_S):
                    return
            link.is_settled = await self._still_forwards()
            return
        pace_s = pace(self._down_s())
        if kind_of(link.end) is Kind.WIRE:
            await self._try(pace_s)
            return
        places: list[Endpoint | None] = [*self._places(link)]
        for endpoint in places or [None]:
            await self._aim(endpoint)
            for _ in range(TRIES):
                if await self._try(pace_s * random.uniform(0.8, 1.2)):  # noqa: S311  # not both sides at once
                    return

    async def _still_forwards(self) -> bool:
        clock, link = asyncio.get_running_loop().time, self._link
        if await is_refused(self._own, link.address, self._probe_port, REFUSED_WITHIN_S):
            if not self._forwards_until_s:
                log.info("the node of '%s' does not run, its kernel forwards", link.node_id)
            self._forwards_until_s = clock() + STILL_S
        elif self._forwards_until_s < clock():
            self._forwards_until_s = 0.0
        link.why = "its node does not run, its kernel forwards" if self._forwards_until_s else link.why
        return self._forwards_until_s > 0

    def _down_s(self) -> float:
        return asyncio.get_running_loop().time() - self._link.figures.since_s

    async def _aim(self, endpoint: Endpoint | None) -> None:
        link, now_s = self._link, asyncio.get_running_loop().time()
        is_first = link.renewed_s < 0
        link.aimed_at = endpoint
        await self._book.set(link.owner, link_facts(self._own, link.record, link.wired, endpoint))
        if link.end.link_key is None or (self._has_many_labels(link) and now_s - link.renewed_s < RENEW_MANY_S):
            return
        link.renewed_s = now_s
        if not is_first:
            await self._book.renew((Peer, LINKS, link.end.link_key))

    async def _try(self, within_s: float) -> bool:
        """Whether it answers; takes as long as it may where it does not."""
        link, clock = self._link, asyncio.get_running_loop().time
        end_s = clock() + within_s
        try:
            await self._ask(within_s, 0)
        except ProbeLostError as error:
            link.why = str(error)
            await asyncio.sleep(max(0.0, end_s - clock()))
            return False
        rtt_s = await self._ask_whole(within_s)  # the first answer may have waited for a handshake
        if rtt_s is None:
            link.why = f"it answers, but packets of {SMALLER[-1]} bytes are lost on the way"
            return False
        link.figures.answered(rtt_s, clock())
        link.is_settled, link.why, self._forwards_until_s = True, "", 0.0
        if link.aimed_at is not None:
            await self._book.set(link.owner, link_facts(self._own, link.record, link.wired, None))
        log.info("link to '%s' is up", link.node_id)
        self._news()
        return True

    async def _ask_whole(self, within_s: float) -> float | None:
        """The round trip of the longest packets that get through, which then is the link's MTU; None for none."""
        link = self._link
        for mtu in (link.end.mtu, *SMALLER):
            for _ in range(LOST_IN_A_ROW):
                try:
                    rtt_s = await self._ask(within_s, mtu)
                except ProbeLostError:
                    continue
                link.mtu = mtu
                return rtt_s
        return None

    async def _ask(self, within_s: float, size: int) -> float:
        return await self._probes.probe(self._link.address, source=self._own, size=size, within_s=within_s)


def pace(down_s: float) -> float:
    """How long an answer is waited for: at first, when the other side may just be ordered too, in quick turns."""
    return min(SLOWEST_S, max(FIRST_S, min(SEEK_S, down_s / 4)) + down_s / 60)
