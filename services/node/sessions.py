"""The sessions of this node, one with each other identity: opened for applications, answered for others, kept in RAM.

An initiator's session has a `Pilot`. A responder's only follows: it accepts outer packets from all ways agreed on, and
sees by WireGuard where the other one is. Of two nodes that open at once, the lower id is the initiator. Two wishes for
one pair are combined; where they exclude each other the later one is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from ipaddress import IPv6Address
from typing import Protocol

from msgspec.structs import replace

from services.addresses import session_address
from services.errors import IdentityError
from services.kernel.errors import KernelError
from services.kernel.model import SESSIONS, Peer, Report
from services.keys import Identity, NodeId, session_key
from services.manager.asks import CHALLENGE, SESSION, ChallengeWanted, Reply, SessionOffer, SessionRequest
from services.manager.ending import end_tasks
from services.manager.errors import WordsError
from services.manager.routes.policy import Policy
from services.manager.signed import Order, decode
from services.node.book import Book
from services.node.config import Config
from services.node.errors import KeptError, NodeError, OrderError, RefusedError, SessionError
from services.node.kept import Kept
from services.node.label_facts import LEAST_MTU
from services.node.opener import Asker, Ends, Opener, OwnEndpoints, Wish
from services.node.paths import CALM_S, DIRECT
from services.node.pilot import Pilot
from services.node.probes import Prober
from services.node.responder import Abroad, Responder
from services.node.services import Publisher
from services.node.session_words import Session, Way, combined, read_way_note, session_facts, told
from services.node.troubles import Troubles

log = logging.getLogger(__name__)

MAX_SESSIONS = 4096
OPENS_ITSELF = "opens a session itself just now"
OTHERS_TURN_S = 6.0
"""So long is waited for the session of one who opened at the same time."""

FILE = "session-"
WAYS_HOME = ("manager", "member")
"""Owners of the same peer, which joining renews."""

Handler = Callable[[Order], Coroutine[object, object, Reply]]
Follower = Callable[[NodeId], Coroutine[object, object, None]]


class Home(Asker, Protocol):
    @property
    def managers(self) -> Collection[NodeId]: ...

    def on(self, kind: str, handler: Handler) -> None: ...

    def on_expelled(self, handler: Callable[[NodeId], Coroutine[object, object, None]]) -> None: ...


class Sessions:
    """`connect` and `close_with` raise SessionError, AwayError, RefusedError."""

    def __init__(
        self,
        identity: Identity,
        config: Config,
        own: OwnEndpoints,
        book: Book,
        labels: Ends,
        home: Home,
        prober: Prober,
        kept: Kept,
        publisher: Publisher,
        borders: Abroad,
        troubles: Troubles,
    ) -> None:
        self._me, self._probe_port = identity.node_id, config.probe_port
        self._book, self._labels, self._home, self._prober, self._kept = book, labels, home, prober, kept
        self._publisher, self.troubles = publisher, troubles
        self._opener = Opener(identity, own, labels, home, troubles)
        self._responder = Responder(self._me, publisher, borders, lambda: home.managers, troubles)
        self._sessions: dict[NodeId, Session] = {}
        self._pilots: dict[NodeId, tuple[Pilot, asyncio.Task[None]]] = {}
        self._turns: dict[NodeId, asyncio.Lock] = {}
        self._opening: set[NodeId] = set()
        self._again: set[NodeId] = set()
        self._came = asyncio.Condition()
        self.on_begun: Follower = _nobody
        self.on_ending: Follower = _nobody
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        return len(self._sessions)

    @property
    def words(self) -> tuple[Session, ...]:
        return tuple(self._sessions.values())

    def pilot(self, node_id: NodeId) -> Pilot | None:
        """Of a session that this node initiated."""
        found = self._pilots.get(node_id)
        return found[0] if found is not None else None

    # from start to end

    async def restore(self) -> None:
        """What was kept, into the book."""
        for name in self._kept.names(FILE):
            session = self._kept.read(name, Session)
            try:
                if session is None or name != FILE + session.node_id:
                    raise ValueError("not understood")
                await self._put(session)
            except (NodeError, KernelError, IdentityError, ValueError) as error:
                log.warning("'%s' is forgotten: %s", name, error)
                self._kept.remove(name)

    async def start(self) -> None:
        self._home.on(CHALLENGE, self._take_challenge)
        self._home.on(SESSION, self._take_offer)
        self._home.on_expelled(self._expel)
        self._prober.on_note = self._hear
        now_s, share_s = asyncio.get_running_loop().time(), CALM_S / max(1, len(self._sessions))
        for number, session in enumerate(self._sessions.values()):
            self._steer(session)
            if (pilot := self.pilot(session.node_id)) is not None:
                pilot.paths.rest(now_s, number * share_s)

    async def close(self) -> None:
        """The kernel keeps all of it."""
        await end_tasks(self._tasks)
        for node_id in tuple(self._pilots):
            await self._unsteer(node_id)

    # applications

    async def connect(self, node_id: NodeId, service: str, policy: Policy) -> Session:
        if node_id == self._me:
            raise SessionError("a node has no session with itself: dial the service where it listens")
        async with self._turn(node_id):
            session = self._sessions.get(node_id)
            if session is not None:
                both = combined(session, policy)
                if both == session.policy:
                    return await self._use(session, service)
                policy = both
            elif len(self._sessions) >= MAX_SESSIONS:
                raise SessionError(f"this node has {MAX_SESSIONS} sessions already: close one")
            return await self._open(node_id, service, policy)

    async def close_with(self, node_id: NodeId) -> None:
        """Raises SessionError where there is none."""
        if node_id not in self._sessions:
            raise SessionError(f"there is no session with node '{node_id[:64]}'")
        async with self._turn(node_id):
            await self._forget(node_id)

    async def free(self, manager: NodeId) -> None:
        """A session with a manager takes the manager's own packets with it. Where it is dead, it goes: nobody could be
        asked for another.
        """
        pilot = self.pilot(manager)
        if pilot is not None and all(way.is_down for way in pilot.paths.ways.values()):
            log.warning("the session with manager '%s' is dead, and in the way: it ends", manager)
            await self._forget(manager)

    async def tidy(self) -> None:
        await self._opener.close_strays({route for session in self.words for route in session.routes})

    def _turn(self, node_id: NodeId) -> asyncio.Lock:
        if len(self._turns) > 2 * MAX_SESSIONS:
            self._turns = {other: turn for other, turn in self._turns.items() if turn.locked()}
        return self._turns.setdefault(node_id, asyncio.Lock())

    async def _use(self, session: Session, service: str) -> Session:
        if session.border and not (session.is_initiator and service in session.services):
            return await self._open(session.node_id, service, session.policy)
        if service not in session.services:
            session = replace(session, services=(*session.services, service)[-8:])
            await self.change(session)
        return session

    async def _open(self, node_id: NodeId, service: str, policy: Policy) -> Session:
        self._opening.add(node_id)
        try:
            ways = await self._opener.open(Wish(node_id, service, policy))
        except RefusedError as error:
            session = await self._others(node_id) if OPENS_ITSELF in str(error) else None
            if session is None or combined(session, policy) != session.policy:
                raise
            return session
        finally:
            self._opening.discard(node_id)
        old = self._sessions.get(node_id)
        before = old if old is not None and old.border and old.border == ways.cluster else None
        session = Session(
            node_id,
            is_initiator=True,
            session_port=ways.session_port,
            ways=ways.routes,
            active=ways.routes[0].route if ways.routes else DIRECT,
            opened_unix_s=int(time.time()),
            policy=policy,
            services=(service, *(one for one in before.services if one != service))[:8] if before else (service,),
            direct=ways.direct,
            cluster=old.cluster if old is not None else "",
            border=ways.cluster,
            granted=before.granted if before is not None else (),
        )
        await self._begin(session)
        return session

    async def _others(self, node_id: NodeId) -> Session | None:
        """The session that the other one, who has the lower id, opens at the same time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OTHERS_TURN_S), self._came:
                await self._came.wait_for(lambda: node_id in self._sessions)
        return self._sessions.get(node_id)

    # orders

    async def _take_challenge(self, order: Order) -> Reply:
        try:
            wanted = decode(order.body, ChallengeWanted, "challenge")
            return Reply(challenge=self._responder.draw(wanted))
        except (OrderError, WordsError) as error:
            return Reply(str(error))

    async def _take_offer(self, order: Order) -> Reply:
        try:
            offer = decode(order.body, SessionOffer, "session")
            await self._answer(self._responder.check(offer), offer.cluster, is_abroad=bool(offer.vouch))
        except (NodeError, KernelError, WordsError) as error:
            return Reply(str(error))
        return Reply()

    async def _answer(self, request: SessionRequest, cluster: str, *, is_abroad: bool) -> None:
        """Makes the initiator's wish true here. Raises NodeError, KernelError."""
        node_id, old = request.initiator, self._sessions.get(request.initiator)
        if node_id in self._opening and self._me < node_id:
            raise OrderError(f"node '{self._me}' {OPENS_ITSELF}, and has the lower id")
        if old is not None and old.is_initiator and combined(old, request.policy) != request.policy:
            raise OrderError(f"node '{self._me}' wants a stricter policy for this pair: {told(old.policy)}")
        if old is None and len(self._sessions) >= MAX_SESSIONS:
            raise OrderError(f"node '{self._me}' has as many sessions as it takes")
        if old is not None and old.is_initiator and request.keeps:
            raise OrderError(f"node '{self._me}' is the initiator of this session: open it anew")
        ends = {route: self._labels.end(route) for route in (*request.keeps, *request.routes)}
        session = Session(
            node_id,
            is_initiator=False,
            session_port=0,
            ways=tuple(Way(route, end.mtu if end is not None else LEAST_MTU) for route, end in ends.items()),
            active=next(iter(ends), DIRECT),
            opened_unix_s=old.opened_unix_s if old is not None and request.keeps else int(time.time()),
            policy=request.policy,
            services=(request.service,),
            direct=request.direct,
            cluster=cluster,
            border=cluster if is_abroad else "",
            granted=tuple(dict.fromkeys([*(old.granted if old else ()), request.service])) if is_abroad else (),
        )
        await self._begin(session, keeps=bool(request.keeps))
        log.info("node '%s' has a session for service '%s'", node_id, request.service)
        async with self._came:
            self._came.notify_all()

    def _hear(self, node_id: NodeId, source: IPv6Address, note: bytes) -> None:
        """The initiator tells which way it takes now: packets to it must fit that."""
        session, route = self._sessions.get(node_id), read_way_note(note)
        if session is None or session.is_initiator or route is None or source != session_address(node_id):
            return
        if route != session.active and route in {*session.routes, *([DIRECT] if session.direct else [])}:
            self._spawn(self.change(replace(session, active=route)))

    async def _expel(self, node_id: NodeId) -> None:
        if node_id in self._sessions:
            await self._forget(node_id)

    # words and facts

    async def _begin(self, session: Session, *, keeps: bool = False) -> None:
        """In the place of what there was. A session that begins anew forgets its keys at both ends: a peer whose clock
        went back is not heard otherwise. But not those of the way home, on which the answer comes.
        """
        old = self._sessions.get(session.node_id)
        await self._unsteer(session.node_id)
        report = await self._put(session)
        if report.failed:
            await self._forget(session.node_id)
            raise SessionError(f"the kernel refused the session: {report.failed[0].reason}")
        if old is not None and not keeps:
            if not any(self._book.holds(f"{kind}:{session.node_id}") for kind in WAYS_HOME):
                await self._book.renew(Peer(SESSIONS, session_key(session.node_id)).key)
            left = tuple(route for route in old.routes if route not in session.routes)
            if old.is_initiator and left:
                self._spawn(self._opener.close(left))
        self._steer(session)

    async def _put(self, session: Session) -> Report:
        node_id, old = session.node_id, self._sessions.get(session.node_id)
        self._sessions[node_id] = session
        self._know(old, session)
        try:
            self._kept.write(FILE + node_id, session)
        except KeptError as error:
            log.warning("the session with '%s' would not outlive a restart: %s", node_id, error)
        if old is None or (old.cluster, old.border, old.granted) != (session.cluster, session.border, session.granted):
            only = session.granted if session.border else None
            await self._publisher.take_member(node_id, session.cluster, by=FILE, only=only)
        report = await self._book.set(session.owner, session_facts(self._me, session, self._probe_port))
        if old is None:
            await self.on_begun(node_id)
        return report

    async def change(self, session: Session) -> None:
        """By its pilot, or by what is seen of it."""
        if session.node_id in self._sessions:
            await self._put(session)

    def _know(self, old: Session | None, new: Session) -> None:
        """Whose probes are answered; and the routes have a sign of life."""
        fars = {new.far(route) for route in new.routes}
        for far in _fars(old) - fars:
            self._prober.forget(far, by=FILE)
        for far in fars:
            self._prober.know(far, new.node_id, by=FILE)
        for route in new.routes:
            self._labels.keep(route)
        self._prober.know(session_address(new.node_id), new.node_id, by=FILE)

    async def _forget(self, node_id: NodeId) -> None:
        session = self._sessions.pop(node_id, None)
        await self._unsteer(node_id)
        if session is None:
            return
        for address in (*_fars(session), session_address(node_id)):
            self._prober.forget(address, by=FILE)
        self._kept.remove(FILE + node_id)
        await self._publisher.take_member(node_id, "", by=FILE)
        await self.on_ending(node_id)
        await self._book.set(session.owner, ())
        if session.is_initiator:
            self._spawn(self._opener.close(session.routes))
        else:
            await self._labels.drop(*session.routes)

    def _steer(self, session: Session) -> None:
        if session.is_initiator:
            pilot = Pilot(self._me, session, self.change, self._open_anew, self._prober, self._opener)
            self._pilots[session.node_id] = pilot, asyncio.get_running_loop().create_task(pilot.run())

    async def _unsteer(self, node_id: NodeId) -> None:
        if (found := self._pilots.pop(node_id, None)) is not None:
            pilot, task = found
            await end_tasks({task})
            await pilot.close()

    def _open_anew(self, node_id: NodeId) -> None:
        if node_id not in self._again:
            self._again.add(node_id)
            self._spawn(self._open_again(node_id))

    async def _open_again(self, node_id: NodeId) -> None:
        try:
            async with self._turn(node_id):
                session = self._sessions.get(node_id)
                if session is not None and session.is_initiator and session.services:
                    await self._open(node_id, session.services[0], session.policy)
        except (NodeError, KernelError) as error:
            log.warning("the session with '%s' cannot be opened anew: %s", node_id, error)
        finally:
            self._again.discard(node_id)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _nobody(_: NodeId) -> None:
    """Whose own nobody follows."""


def _fars(session: Session | None) -> set[IPv6Address]:
    return {session.far(route) for route in session.routes} if session is not None else set()
