"""Opens sessions' routes for nodes that ask: begins, opens and closes them. Only who leads does.

What was begun waits here for the initiator's signed request, for a short while; with the leader it is gone, and the
initiator begins again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.addresses import read_route_id
from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.manager.asks import (
    CHALLENGE,
    CHALLENGE_BYTES,
    MAX_ROUTES,
    SESSION,
    SESSION_REQUEST,
    Begin,
    Begun,
    ChallengeWanted,
    Open,
    Opened,
    Path,
    Reply,
    SessionOffer,
    SessionRequest,
)
from services.manager.config import Limits, place_text, read_place
from services.manager.errors import HopError, RefusedError, SilentHopError, WordsError
from services.manager.graph_keeper import GraphKeeper
from services.manager.hops import Hops, labels_of
from services.manager.limits import Limits as Rate
from services.manager.orders import Orders
from services.manager.peering.crossing import Crossing
from services.manager.registry import Registry
from services.manager.route_book import RouteBook
from services.manager.routes.errors import NoRouteError, RouteError
from services.manager.routes.find import find_pair, find_route, find_standby
from services.manager.routes.model import Route
from services.manager.signed import read

BEGUN_FOR_S = 20.0
MOST_BEGUN = 4096
MAX_SERVICE = 63

SessionPlace = Callable[[NodeId], str]
"""Where the node here sees a node's session socket, or nothing."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """`cluster`: where the responder is one of another cluster's."""

    begin: Begin
    paths: tuple[Path, ...]
    until_s: float
    cluster: NodeId | None = None


class Sessions:
    """Every method raises RefusedError with the text for who asked, BusError where asking again may help."""

    def __init__(
        self,
        cluster: NodeId,
        limits: Limits,
        orders: Orders,
        hops: Hops,
        book: RouteBook,
        registry: Registry,
        keeper: GraphKeeper,
        session_place: SessionPlace,
        crossing: Crossing,
    ) -> None:
        self._cluster, self._limits = cluster, limits
        self._orders, self._hops, self._book = orders, hops, book
        self._registry, self._keeper, self._session_place = registry, keeper, session_place
        self._crossing = crossing
        self._rate = Rate(limits.sessions_per_min / 60, 2 * limits.sessions_per_min)
        self._begun: dict[tuple[NodeId, NodeId, tuple[str, ...]], _Begun] = {}
        self._drawn: set[str] = set()

    async def begin(self, initiator: NodeId, begin: Begin) -> Begun:
        """Routes are searched while the responder is asked for its challenge."""
        self._check_begin(initiator, begin)
        if self._crossing.is_abroad(begin.responder, begin.service):
            return await self._begin_abroad(initiator, begin)
        asking = asyncio.ensure_future(self._ask_challenge(initiator, begin))
        try:
            for _ in range(3):  # until the question is on the wire
                await asyncio.sleep(0)
            paths, reason = self._find(initiator, begin)
            challenge = (await asking).challenge
        except (HopError, RouteError, WordsError) as error:
            raise RefusedError(str(error), again=isinstance(error, SilentHopError)) from None
        finally:
            asking.cancel()
        if len(challenge) != CHALLENGE_BYTES:
            raise RefusedError(f"node '{begin.responder}' gave no challenge")
        self._remember(initiator, begin, paths)
        known = self._registry.nodes[begin.responder]
        return Begun(
            challenge,
            paths,
            self._direct(begin.responder) if begin.policy.permits_direct else (),
            reason,
            known.record.session_port,
            self._session_place(initiator),
        )

    async def _begin_abroad(self, initiator: NodeId, begin: Begin) -> Begun:
        """There is no direct way to another cluster: who is where is shown to nobody there."""
        crossed = await self._crossing.begin(initiator, begin)
        self._remember(initiator, begin, crossed.paths, crossed.cluster)
        words = (crossed.challenge, crossed.paths, (), crossed.reason, crossed.session_port)
        return Begun(*words, cluster=crossed.cluster)

    async def open(self, initiator: NodeId, ask: Open) -> Opened:
        """Every hop holds its labels, and the responder has agreed."""
        request = self._read_request(initiator, ask.request)
        begun = self._take_begun(initiator, request)
        if begun.cluster is not None:
            return await self._open_abroad(begun.cluster, begun.paths, ask.request)
        hops = [hop for path in begun.paths for hop in labels_of(path.route, path.nodes, path.mtu)]
        offer = SessionOffer(ask.request, self._cluster)
        try:
            responder = request.responder
            await self._hops.lay(hops, lambda: self._orders.give(responder, SESSION, offer), responder)
        except (HopError, WordsError) as error:
            raise RefusedError(str(error), again=isinstance(error, SilentHopError)) from None
        return Opened()

    async def _open_abroad(self, cluster: NodeId, paths: tuple[Path, ...], request: bytes) -> Opened:
        """Both halves at once."""
        try:
            await self._hops.lay(self._crossing.our_hops(cluster, paths), lambda: self._crossing.open(cluster, request))
        except BaseException as error:
            self._crossing.close([path.route for path in paths], cluster)
            if isinstance(error, HopError | WordsError):
                raise RefusedError(str(error), again=isinstance(error, SilentHopError)) from None
            raise
        return Opened()

    async def build(self, route: str, nodes: tuple[NodeId, ...], mtu: int) -> None:
        """By hand, through these nodes."""
        self._check_room(nodes[0], (route,))
        try:
            await self._hops.lay(labels_of(route, nodes, mtu))
        except (HopError, WordsError) as error:
            raise RefusedError(str(error), again=isinstance(error, SilentHopError)) from None

    def close(self, initiator: NodeId, routes: tuple[str, ...]) -> None:
        """Routes of others, and routes that are none, are passed over."""
        if len(routes) > self._limits.routes_of_one:
            raise RefusedError(f"{len(routes)} routes are too many at once")
        mine = [route for route in routes if self._book.initiator(route) == initiator]
        self._crossing.close(mine)
        self._hops.drop(mine)

    # begin

    def _check_begin(self, initiator: NodeId, begin: Begin) -> None:
        try:
            read_node_id(begin.responder)
            for route in begin.routes:
                read_route_id(route)
        except IdentityError as error:
            raise RefusedError(str(error)) from None
        is_known = begin.responder in self._registry.nodes or self._crossing.is_abroad(begin.responder, begin.service)
        if not is_known or initiator not in self._registry.nodes:
            raise RefusedError(f"node '{begin.responder}' is not in this network")
        if begin.responder == initiator:
            raise RefusedError("a session joins two nodes, not one with itself")
        if len(set(begin.routes)) != len(begin.routes) or len(begin.routes) > MAX_ROUTES:
            raise RefusedError(f"one to {MAX_ROUTES} different routes, not {len(begin.routes)}")
        if len(begin.service) > MAX_SERVICE:
            raise RefusedError(f"the name of a service has at most {MAX_SERVICE} letters")
        if begin.beside and (begin.beside[0], begin.beside[-1]) != (initiator, begin.responder):
            raise RefusedError("'beside' is no route between these two nodes")
        if begin.beside and len(begin.routes) != 1:
            raise RefusedError("beside a route that stays there is room for one")
        self._check_room(initiator, begin.routes)
        if not self._rate.allows(initiator, time.monotonic()):
            raise RefusedError(f"more than {self._limits.sessions_per_min} sessions a minute: wait a little")

    def _check_room(self, initiator: NodeId, routes: tuple[str, ...]) -> None:
        if taken := [route for route in routes if route in self._book.labels or route in self._drawn]:
            raise RefusedError(f"route '{taken[0]}' is taken: draw another id")
        if self._book.begun_by[initiator] + len(routes) > self._limits.routes_of_one:
            raise RefusedError(f"{self._limits.routes_of_one} routes are all that one node may have: close some")
        if len(self._book.labels) + len(routes) > self._limits.routes:
            raise RefusedError(f"the network has all the {self._limits.routes} routes that it may have")

    async def _ask_challenge(self, initiator: NodeId, begin: Begin) -> Reply:
        wanted = ChallengeWanted(initiator, begin.service, self._cluster)
        return await self._orders.give(begin.responder, CHALLENGE, wanted)

    def _find(self, initiator: NodeId, begin: Begin) -> tuple[tuple[Path, ...], str]:
        """Raises RouteError where there is no way, and none without relays either."""
        graph, policy = self._keeper.graph, begin.policy
        found: list[Route] = []
        reason = ""
        try:
            if begin.beside:
                found = [find_standby(graph, begin.beside, policy)]
            elif len(begin.routes) == 1:
                found = [find_route(graph, initiator, begin.responder, policy)]
            elif begin.routes:
                pair = find_pair(graph, initiator, begin.responder, policy)
                found = [route for route in (pair.route, pair.standby) if route is not None]
                reason = pair.reason
        except NoRouteError as error:
            if not policy.permits_direct or begin.beside:
                raise
            reason = str(error)
        ids = begin.routes[: len(found)]
        paths = [Path(name, route.nodes, route.mtu, route.latency_s) for name, route in zip(ids, found, strict=True)]
        return tuple(paths), reason

    def _direct(self, responder: NodeId) -> tuple[str, ...]:
        """Where its session socket is: at the addresses that it names itself, and where it is seen."""
        record, found = self._registry.nodes[responder].record, list[str]()
        for endpoint in record.endpoints:
            try:
                found.append(place_text(read_place(endpoint)[0], record.session_port))
            except ValueError:
                continue
        return tuple(dict.fromkeys([*found, *filter(None, [self._session_place(responder)])]))

    def _remember(
        self, initiator: NodeId, begin: Begin, paths: tuple[Path, ...], cluster: NodeId | None = None
    ) -> None:
        now = time.monotonic()
        for key in [key for key, begun in self._begun.items() if begun.until_s < now or len(self._begun) > MOST_BEGUN]:
            self._forget(key)
        key = (initiator, begin.responder, tuple(path.route for path in paths))
        self._begun[key] = _Begun(begin, paths, now + BEGUN_FOR_S, cluster)
        self._drawn.update(key[2])

    def _forget(self, key: tuple[NodeId, NodeId, tuple[str, ...]]) -> _Begun | None:
        self._drawn.difference_update(key[2])
        return self._begun.pop(key, None)

    # open

    def _read_request(self, initiator: NodeId, data: bytes) -> SessionRequest:
        try:
            by, request = read(data, SESSION_REQUEST, SessionRequest)
        except WordsError as error:
            raise RefusedError(str(error)) from None
        if by != initiator or request.initiator != initiator:
            raise RefusedError(f"a request of node '{request.initiator}', signed by '{by}', asked by '{initiator}'")
        return request

    def _take_begun(self, initiator: NodeId, request: SessionRequest) -> _Begun:
        """What was begun just like that, once."""
        begun = self._forget((initiator, request.responder, request.routes))
        if begun is None or begun.until_s < time.monotonic() or begun.begin.service != request.service:
            raise RefusedError("no such session was begun here just now: begin again")
        self._check_room(initiator, request.routes)
        return begun
