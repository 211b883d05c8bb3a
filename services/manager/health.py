"""Whether the manager works, by trying: the bus is asked and must answer, somebody must lead, the node here must listen
to it. In one line for viscript, and in words with advice for a person.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_address

from services.keys import NodeId
from services.manager.api_words import Status
from services.manager.bus import Bus
from services.manager.config import Join, place_text, read_place
from services.manager.directory import Directory
from services.manager.errors import BusError
from services.manager.gatekeeper import Gatekeeper
from services.manager.graph_keeper import GraphKeeper
from services.manager.lease import Lease
from services.manager.members import Members
from services.manager.registry import Registry
from services.manager.route_book import RouteBook


class Health:
    def __init__(
        self,
        managers: tuple[NodeId, ...],
        join: Join,
        port: Callable[[], int],
        bus: Bus,
        lease: Lease,
        registry: Registry,
        keeper: GraphKeeper,
        book: RouteBook,
        directory: Directory,
        members: Members,
        gatekeeper: Gatekeeper,
        advice: Callable[[], list[str]],
    ) -> None:
        self._managers, self._join, self._port = managers, join, port
        self._bus, self._lease, self._registry, self._keeper = bus, lease, registry, keeper
        self._book, self._directory, self._members, self._gatekeeper = book, directory, members, gatekeeper
        self._more_advice = advice

    @property
    def join_at(self) -> str:
        """What an invitation says: what was configured, else this host's best address as its node knows it."""
        if self._join.announce:
            return place_text(*read_place(self._join.announce))
        hosts = self._own_hosts() or [read_place(self._join.listen)[0]]
        return place_text(min(hosts, key=lambda host: not _is_global(host)), self._port())

    async def check(self) -> Status:
        me, holder = self._managers[0], self._lease.holder
        rtt_s = await self._round_trip()
        leads = self._lease.is_held
        counts = self._keeper.links_up, len(self._book.labels), len(self._directory.find())
        problem = self._problem(rtt_s, leads=leads)
        role = "leads" if leads else f"follows {holder[:8] if holder else 'nobody'}"
        text = f"{role}: {len(self._registry.nodes)} nodes, {counts[0]} links, {counts[1]} routes"
        return Status(
            *(me, not problem, f"{problem}; {text}" if problem else text, leads, holder or "", self._managers),
            *(len(self._registry.nodes), *counts, len(self._registry.expelled), rtt_s),
            *(self.join_at, self._join.admit, tuple(self._advice())),
        )

    def _problem(self, rtt_s: float | None, *, leads: bool) -> str:
        if rtt_s is None:
            return "the bus does not answer"
        if not leads and self._lease.holder is None:
            return "nobody leads"
        if self._members.problem:
            return f"the node here is away ({self._members.problem})"
        if self._managers[0] not in self._registry.nodes:
            return "its own node has not joined yet"
        return ""

    def _advice(self) -> list[str]:
        """A manager cannot try its own port from outside: it says what it saw."""
        told = self._more_advice()
        if not (self._gatekeeper.came_from_outside or self._join.announce or any(map(_is_global, self._own_hosts()))):
            told.append(
                f"this host has no public address and nobody has joined from outside: nodes elsewhere need TCP port "
                f"{self._port()} and the node's UDP ports forwarded to it by the router (by hand or PCP), and "
                "join.announce in manager.yaml says where that is"
            )
        if len(self._managers) == 1:
            told.append("one manager alone: while it is away nobody joins and no new route is found (sessions go on)")
        return told

    def _own_hosts(self) -> list[str]:
        known = self._registry.nodes.get(self._managers[0])
        found = []
        for endpoint in known.record.endpoints if known is not None else ():
            try:
                found.append(read_place(endpoint)[0])
            except ValueError:
                continue
        return found

    async def _round_trip(self) -> float | None:
        started = time.perf_counter()
        try:
            await self._bus.flush()
        except BusError:
            return None
        return time.perf_counter() - started


def _is_global(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        return False
