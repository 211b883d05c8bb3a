"""Looks what passes in the sessions, at most once a second and only while anything does, and tells who must know:
pilots, to probe fast; responders' words, which way the other one takes; labels, that a route is in use.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from services.addresses import ROUTES, read_route
from services.errors import IdentityError
from services.kernel.errors import KernelError
from services.kernel.model import SESSIONS, Endpoint, Traffic
from services.keys import NodeId
from services.node.errors import NodeError
from services.node.opener import Ends
from services.node.paths import DIRECT
from services.node.pilot import Pilot
from services.node.session_words import Session, peer_key

log = logging.getLogger(__name__)

LOOK_S, KEEP_S = 1.0, 30.0
COST_SHARE = 20
"""A look that takes long is taken less often: a twentieth of the time at most."""

GONE_S = 300.0
"""A responder's session of which nothing was heard for so long keeps no routes; without routes it ends."""

IDLE_S = 86400.0

COUNTERS = Path("/proc/thread-self/net/dev")


class Figures(Protocol):
    async def traffic(self, device: str) -> list[Traffic]: ...


class Heard(Protocol):
    def last_asked_s(self, address: IPv6Address) -> float | None: ...


class Watched(Protocol):
    @property
    def words(self) -> tuple[Session, ...]: ...

    def pilot(self, node_id: NodeId) -> Pilot | None: ...

    async def close_with(self, node_id: NodeId) -> None: ...

    async def tidy(self) -> None: ...


class Watch:
    def __init__(
        self,
        sessions: Watched,
        change: Callable[[Session], Awaitable[None]],
        kernel: Figures,
        labels: Ends,
        probes: Heard,
    ) -> None:
        self._sessions, self._change, self._kernel = sessions, change, kernel
        self._labels, self._probes = labels, probes
        self._before: dict[bytes, Traffic] = {}
        self._counted = ""
        self._received_s: dict[NodeId, float] = {}

    async def run(self) -> None:
        """For ever."""
        kept_s = time.monotonic()
        pause_s = LOOK_S
        while True:
            await asyncio.sleep(pause_s)
            began_s = time.monotonic()
            try:
                if self._sessions.words and self._has_moved():
                    await self.look()
                if began_s - kept_s >= KEEP_S:
                    kept_s = began_s
                    await self.keep()
            except (NodeError, KernelError) as error:
                log.warning("sessions are not looked at: %s", error)
            pause_s = max(LOOK_S, COST_SHARE * (time.monotonic() - began_s))

    def _has_moved(self) -> bool:
        lines = COUNTERS.read_text().splitlines()
        line = next((line for line in lines if line.lstrip().startswith(f"{SESSIONS}:")), "")
        before, self._counted = self._counted, line
        return line != before

    async def look(self) -> None:
        figures = {figure.public_key: figure for figure in await self._kernel.traffic(SESSIONS)}
        for session in self._sessions.words:
            key = peer_key(session.node_id)
            now, before = figures.get(key), self._before.get(key)
            if now is None:
                continue
            before = before or now  # what passed before this process is none of its news
            received, sent = max(0, now.received - before.received), max(0, now.sent - before.sent)
            if received:
                self._received_s[session.node_id] = time.monotonic()
            if (pilot := self._sessions.pilot(session.node_id)) is not None:
                pilot.traffic(received, sent)
            elif (active := _way_of(session, now.endpoint)) != session.active:
                await self._change(replace(session, active=active))
        self._before = figures

    async def keep(self) -> None:
        """Signs of life for labels, and an end to sessions that have none."""
        now_s = time.monotonic()
        for session in self._sessions.words:
            pilot = self._sessions.pilot(session.node_id)
            if pilot is not None:
                idle_s = asyncio.get_running_loop().time() - pilot.traffic_s
                is_alive = idle_s < IDLE_S
            else:
                is_alive = now_s - self._heard_s(session, now_s) < GONE_S and not self._is_closed(session)
            if is_alive:
                for route in session.routes:
                    self._labels.keep(route)
                await self._read_mtus(session)
            elif pilot is not None or self._has_no_labels(session):
                await self._end(session)
        await self._sessions.tidy()
        known = {session.node_id for session in self._sessions.words}
        self._received_s = {node_id: at_s for node_id, at_s in self._received_s.items() if node_id in known}

    def _has_no_labels(self, session: Session) -> bool:
        return not any(self._labels.end(route) for route in session.routes)

    def _is_closed(self, session: Session) -> bool:
        """A responder is not told: the initiator closes the routes."""
        return session.active != DIRECT and bool(session.routes) and self._has_no_labels(session)

    def _heard_s(self, session: Session, now_s: float) -> float:
        """When there last was a sign of the other one; of a session that is new here, now."""
        asked = [self._probes.last_asked_s(session.far(route)) for route in session.routes]
        received_s = self._received_s.setdefault(session.node_id, now_s)
        return max([received_s, *(at_s for at_s in asked if at_s is not None)])

    async def _read_mtus(self, session: Session) -> None:
        """A responder may have been asked before its labels came."""
        ends = {route: self._labels.end(route) for route in session.routes}
        ways = tuple(replace(way, mtu=end.mtu) if (end := ends[way.route]) is not None else way for way in session.ways)
        if not session.is_initiator and ways != session.ways:
            await self._change(replace(session, ways=ways))

    async def _end(self, session: Session) -> None:
        log.info("session with '%s' ends: nothing was heard of it", session.node_id)
        await self._sessions.close_with(session.node_id)


def _way_of(session: Session, endpoint: Endpoint | None) -> str:
    """The way that the initiator takes, as far as WireGuard knows."""
    if endpoint is None or not isinstance(endpoint.address, IPv6Address) or endpoint.address not in ROUTES:
        return session.active if endpoint is None or not session.direct else DIRECT
    try:
        route = read_route(endpoint.address)[0].hex()
    except IdentityError:
        return session.active
    return route if route in session.routes else session.active
