"""Opens the ways of a session: asks a manager for routes, signs the request, has it carried out. Nothing is believed
that can be checked here: where a route leads, whether the policy has it, by which neighbour it begins.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from services.addresses import new_route_id
from services.keys import Identity, NodeId
from services.manager.asks import (
    MAX_ROUTES,
    SESSION_REQUEST,
    Ask,
    Begin,
    Begun,
    Close,
    Done,
    Open,
    Opened,
    Path,
    SessionRequest,
)
from services.manager.model import Label
from services.manager.routes.policy import Policy
from services.manager.signed import sign
from services.node.errors import AwayError, NodeError, SessionError
from services.node.label_facts import LEAST_MTU, MOST_MTU
from services.node.model import RouteEnd
from services.node.responder import read_direct
from services.node.session_words import Session, Way
from services.node.troubles import Troubles

T = TypeVar("T", bound=msgspec.Struct)

BEGIN_WITHIN_S, OPEN_WITHIN_S, CLOSE_WITHIN_S = 6.0, 9.0, 5.0
PAUSES_S = (0.5, 2.0)
MAX_DIRECT = 4
STRAY_S, MAX_STRAYS = 45.0, 64


class Asker(Protocol):
    @property
    def is_connected(self) -> bool: ...

    async def ask(self, ask: Ask, kind: type[T], within_s: float = 5.0) -> T: ...


class Ends(Protocol):
    def end(self, route: str) -> RouteEnd | None: ...

    def keep(self, route: str) -> None: ...

    async def drop(self, *routes: str) -> None: ...

    def states(self) -> list[tuple[Label, float]]: ...


class OwnEndpoints(Protocol):
    def session_endpoints(self) -> tuple[str, ...]: ...


class Wish(NamedTuple):
    """`keeps`: the session that goes on and gets another route, apart from the way it takes now."""

    node_id: NodeId
    service: str
    policy: Policy
    keeps: Session | None = None


class Ways(NamedTuple):
    """What was opened."""

    routes: tuple[Way, ...]
    direct: tuple[str, ...]
    session_port: int
    cluster: str = ""


class Opener:
    """Raises SessionError for what is false, AwayError and RefusedError as the manager says."""

    def __init__(self, identity: Identity, own: OwnEndpoints, labels: Ends, home: Asker, troubles: Troubles) -> None:
        self._identity, self._own, self._labels, self._home, self._troubles = identity, own, labels, home, troubles

    async def open(self, wish: Wish) -> Ways:
        """What nobody answered is asked again while there is a bus: the managers may be changing their leader."""
        for pause_s in PAUSES_S:
            try:
                return await self._open(wish)
            except AwayError:
                if not self._home.is_connected:
                    raise
                await asyncio.sleep(pause_s)
        return await self._open(wish)

    async def _open(self, wish: Wish) -> Ways:
        count = MAX_ROUTES if wish.keeps is None else 1
        routes = tuple(new_route_id().hex() for _ in range(count))
        begin = Begin(wish.node_id, wish.service, routes, wish.policy, _nodes_taken(wish.keeps))
        begun = await self._home.ask(begin, Begun, within_s=BEGIN_WITHIN_S)
        self._check_paths(wish, routes, begun.paths)
        direct = tuple(_usable(begun.direct))[:MAX_DIRECT] if wish.policy.permits_direct else ()
        if not begun.paths and (not direct or wish.keeps is not None):
            raise SessionError(f"no way to node '{wish.node_id}': {begun.reason or 'the manager knows none'}")
        found = tuple(path.route for path in begun.paths)
        try:
            await self._home.ask(Open(self._signed(wish, begun, found, direct)), Opened, within_s=OPEN_WITHIN_S)
            self._check_ends(begun.paths)
        except BaseException:
            await self.close(found)
            raise
        return Ways(
            tuple(Way(path.route, path.mtu, path.nodes) for path in begun.paths),
            direct,
            begun.session_port,
            begun.cluster,
        )

    async def close(self, routes: tuple[str, ...]) -> None:
        """Here at once, elsewhere if a manager can be asked; else the labels expire."""
        if routes:
            await self._labels.drop(*routes)
            with contextlib.suppress(NodeError):
                await self._home.ask(Close(routes), Done, within_s=CLOSE_WITHIN_S)

    async def close_strays(self, known: set[str]) -> None:
        """Routes that begin here and belong to no session, such as of one that was never told to be open."""
        states = self._labels.states()
        mine = [label.route for label, idle_s in states if label.initiator_side is None and idle_s >= STRAY_S]
        await self.close(tuple(route for route in mine if route not in known)[:MAX_STRAYS])

    def _signed(self, wish: Wish, begun: Begun, routes: tuple[str, ...], direct: tuple[str, ...]) -> bytes:
        mine = (*self._own.session_endpoints(), *([begun.seen] if begun.seen else [])) if direct else ()
        request = SessionRequest(
            self._identity.node_id,
            wish.node_id,
            wish.service,
            routes,
            begun.challenge,
            tuple(dict.fromkeys(_usable(mine))),
            wish.keeps.routes if wish.keeps is not None else (),
            wish.policy,
        )
        return sign(self._identity, SESSION_REQUEST, request)

    def _check_paths(self, wish: Wish, routes: tuple[str, ...], paths: tuple[Path, ...]) -> None:
        names = [path.route for path in paths]
        if len(set(names)) < len(names) or not set(names) <= set(routes):
            raise self._wrong("a manager answers with routes that nobody asked for")
        for path in paths:
            if path.nodes[:1] != (self._identity.node_id,) or path.nodes[-1:] != (wish.node_id,):
                raise self._wrong("a manager answers with a route between other nodes")
            if not is_permitted(wish.policy, path.nodes) or not LEAST_MTU <= path.mtu <= MOST_MTU:
                raise self._wrong("a manager answers with a route that the policy forbids")

    def _check_ends(self, paths: tuple[Path, ...]) -> None:
        """Own labels came as orders before the answer did."""
        for path in paths:
            end = self._labels.end(path.route)
            if end is None:
                raise SessionError(f"route '{path.route}' was opened without this node's own label: try again")
            if end.peer_side != path.nodes[1]:
                raise self._wrong("a manager ordered another first hop than it told")

    def _wrong(self, what: str) -> SessionError:
        self._troubles.note(what)
        return SessionError(f"{what}: refused")


def is_permitted(policy: Policy, nodes: tuple[NodeId, ...]) -> bool:
    """Whether a route is what the policy asks for, as far as its nodes show."""
    hops, relays = len(nodes) - 1, nodes[1:-1]
    avoided = {node for route in policy.disjoint_from for node in route[1:-1]} | policy.exclude
    if len(set(nodes)) < len(nodes) or avoided.intersection(relays):
        return False
    if hops < policy.hops_at_least or (policy.hops_at_most is not None and hops > policy.hops_at_most):
        return False
    rest = iter(relays)
    return all(node in rest for node in policy.via)


def _nodes_taken(session: Session | None) -> tuple[NodeId, ...]:
    if session is None:
        return ()
    return next((way.nodes for way in session.ways if way.route == session.active), ())


def _usable(endpoints: Iterable[str]) -> Iterable[str]:
    for text in endpoints:
        with contextlib.suppress(ValueError):
            read_direct(text)
            yield text
