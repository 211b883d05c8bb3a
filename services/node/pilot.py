"""Steers one session at its initiator: does what `paths` decides, and notices when nothing comes back inside it.

A switch is three steps: outer packets are taken from the new way alone, the endpoint is set, one packet goes inside at
once, which the responder follows. The first two are one change of the book, in that order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from ipaddress import IPv6Address
from typing import Protocol

from msgspec.structs import replace

from services.addresses import session_address
from services.kernel.errors import KernelError
from services.keys import NodeId
from services.manager.ending import end_tasks
from services.node.errors import NodeError, ProbeLostError
from services.node.opener import Opener, Wish
from services.node.own import DIRECT_MTU
from services.node.paths import DIRECT, Ask, Effect, Leave, Paths, Switch, TryDirect, WantStandby
from services.node.session_words import Session, way_note

log = logging.getLogger(__name__)

GIVE_UP_S = 1.5
"""For an answer to a probe; `paths` has long called it overdue."""

TRY_WITHIN_S, TRY_FULL = 0.4, 3
INSIDE_BYTES = 2 * (80 + 32)
"""What WireGuard counts for a small probe inside and its answer."""

SHAKES_BYTES = 400
SAY_AGAIN_S, SAY_TIMES = 0.1, 8
SILENT_S, SURE_WITHIN_S, SURE_TRIES = 4.0, 1.0, 3
ANEW_S, ANEW_MOST_S = 5.0, 120.0


class Probes(Protocol):
    async def probe(
        self, to: IPv6Address, *, source: IPv6Address | None = None, size: int = 0, note: bytes = b"", within_s: float
    ) -> float: ...


Change = Callable[[Session], Awaitable[None]]
"""Writes the words down and into the book."""

Anew = Callable[[NodeId], None]
"""Has the session opened once more, by somebody else: this pilot ends then."""


class Pilot:
    def __init__(
        self, me: NodeId, session: Session, change: Change, anew: Anew, probes: Probes, opener: Opener
    ) -> None:
        self.session = session
        self._own, self._there = session_address(me), session_address(session.node_id)
        self._change, self._anew, self._probes, self._opener = change, anew, probes, opener
        now_s = self._now_s()
        self.paths = Paths(session.routes, session.active, now_s, may_be_direct=bool(session.direct))
        self._places, self._untried = session.direct, list[str]()
        self.traffic_s = now_s
        self._sent_s: float | None = None
        self._own_bytes = 0
        self._anew_s, self._anew_pause_s = now_s, ANEW_S
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_checking = False

    async def run(self) -> None:
        """For ever."""
        self._spawn(self._say_inside())
        while True:
            for effect in self.paths.step(self._now_s()):
                try:
                    await self._do(effect)
                except (NodeError, KernelError) as error:
                    log.warning("session with '%s': %s", self.session.node_id, error)
            due_s = min(self.paths.next_s(), self._now_s() + 60)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await self._news.wait()
            self._news.clear()

    async def close(self) -> None:
        await end_tasks(self._tasks)

    def traffic(self, received: int, sent: int) -> None:
        """What WireGuard counted since the last time."""
        now_s, own = self._now_s(), self._own_bytes
        self._own_bytes = 0
        if received:
            self._sent_s, self._anew_pause_s = None, ANEW_S
        elif sent and self._sent_s is None:
            self._sent_s = now_s
        if received + sent > (own + SHAKES_BYTES if own else 0):
            self.traffic_s = now_s
            self.paths.traffic(now_s)
            self._news.set()
        is_silent = self._sent_s is not None and now_s - self._sent_s >= SILENT_S
        if is_silent and not self._is_checking and now_s >= self._anew_s and self.paths.ways[self.paths.active].is_up:
            self._is_checking = True
            self._spawn(self._make_sure())

    # what paths decides

    async def _do(self, effect: Effect) -> None:
        match effect:
            case Ask(route=route, number=number):
                self._spawn(self._ask(route, number))
            case Switch(route=route):
                log.info("session with '%s' goes on by route '%s'", self.session.node_id, route)
                await self._take(replace(self.session, active=route, switches=self.session.switches + 1))
                self._spawn(self._say_inside())
            case WantStandby() if self.paths.is_lost:
                self._anew(self.session.node_id)
                self.paths.standby_told(self._now_s())
            case WantStandby():
                self._spawn(self._find_standby())
            case TryDirect():
                await self._try_direct()
            case Leave(route=route):
                await self._take(
                    replace(self.session, ways=tuple(way for way in self.session.ways if way.route != route))
                )
                self._spawn(self._opener.close((route,)))

    async def _take(self, session: Session) -> None:
        self.session = session
        await self._change(session)

    async def _ask(self, route: str, number: int) -> None:
        try:
            await self._probe(route)
        except ProbeLostError:
            self.paths.lost(number)
        else:
            self.paths.answered(number, self._now_s())
        self._news.set()

    async def _probe(self, route: str) -> None:
        if route == DIRECT:
            await self._inside(GIVE_UP_S)
            return
        way = next((way for way in self.session.ways if way.route == route), None)
        if way is None:
            raise ProbeLostError(f"route '{route}' was left")
        far, near = self.session.far(route), self.session.near(route)
        await self._probes.probe(far, source=near, size=way.mtu, within_s=GIVE_UP_S)

    async def _inside(self, within_s: float, size: int = 0) -> float:
        self._own_bytes += INSIDE_BYTES + 2 * size
        note = way_note(self.session.active)
        return await self._probes.probe(self._there, source=self._own, size=size, note=note, within_s=within_s)

    async def _say_inside(self) -> None:
        """Until it is answered: only what comes by the new way tells the other end where to send. Where this end just
        receives, nothing else would ever go there.
        """
        route, within_s = self.session.active, SAY_AGAIN_S
        for _ in range(SAY_TIMES):
            due_s = self._now_s() + within_s
            try:
                await self._inside(within_s)
            except ProbeLostError:  # at once, where the kernel has no way
                await asyncio.sleep(max(0.0, due_s - self._now_s()))
                within_s = min(SURE_WITHIN_S, 2 * within_s)
            else:
                return
            if self.session.active != route:
                return
        if not self._is_checking and self.paths.ways[self.paths.active].is_up:
            self._is_checking = True
            await self._make_sure()

    async def _find_standby(self) -> None:
        try:
            session = self.session
            service = session.services[0] if session.services else ""
            found = await self._opener.open(Wish(session.node_id, service, session.policy, keeps=session))
            await self._take(replace(self.session, ways=(*self.session.ways, *found.routes)))
            for way in found.routes:
                self.paths.add(way.route, self._now_s())
        except (NodeError, KernelError) as error:
            log.info("no standby for the session with '%s': %s", self.session.node_id, error)
        finally:
            self.paths.standby_told(self._now_s())
            self._news.set()

    async def _try_direct(self) -> None:
        """At one place each time: packets go that way meanwhile, so no more than a moment of it."""
        before, rtt_s, is_last = self.session, None, True
        try:
            endpoint, is_last = self._next_place()
            others = (other for other in before.direct if other != endpoint)
            within_s = min(TRY_WITHIN_S, self.paths.try_within_s(self._now_s()))
            await self._take(replace(self.session, active=DIRECT, direct=(endpoint, *others)))
            rtt_s = await self._ask_directly(within_s)
            if rtt_s is not None:
                log.info("session with '%s' goes on directly, by '%s'", before.node_id, endpoint)
                return
            await self._take(replace(self.session, active=before.active))
            self._spawn(self._say_inside())
        finally:
            self.paths.direct_told(rtt_s, self._now_s(), is_last=is_last)

    async def _ask_directly(self, within_s: float) -> float | None:
        """First a small question, which tells the other end to let larger packets in; then one of full size."""
        try:
            rtt_s = await self._inside(within_s)
        except ProbeLostError:
            return None
        for _ in range(TRY_FULL):
            with contextlib.suppress(ProbeLostError):
                await self._inside(within_s, size=DIRECT_MTU)
                return rtt_s
        log.info("session with '%s' is not taken directly: full packets do not pass there", self.session.node_id)
        return None

    def _next_place(self) -> tuple[str, bool]:
        """And whether all were tried with it. The one that is taken stands first, so the order is kept apart."""
        self._untried = self._untried or sorted(self.session.direct, key=self._places.index)
        return self._untried.pop(0), not self._untried

    # silence

    async def _make_sure(self) -> None:
        """The way is there and nothing comes back inside: the other end forgot the session, or its keys."""
        try:
            for _ in range(SURE_TRIES):
                with contextlib.suppress(ProbeLostError):
                    await self._inside(SURE_WITHIN_S)
                    self._sent_s = None
                    return
            log.warning("session with '%s' is silent: it is opened anew", self.session.node_id)
            self._anew(self.session.node_id)
        finally:
            self._is_checking = False
            self._anew_s = self._now_s() + self._anew_pause_s
            self._anew_pause_s = min(ANEW_MOST_S, 2 * self._anew_pause_s)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("session with '%s': a step failed", self.session.node_id, exc_info=task.exception())

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
