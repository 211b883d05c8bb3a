"""Sessions across a border: asks a peer for its half of a route, and gives peers halves of ours. Only who leads does.

Our nodes obey us alone: we lay the half from the initiator to our border and on to theirs, they lay theirs. What is
given to a peer is decided here, whatever it asks: services that are exported, one border on the way, so many at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from services.addresses import read_route_id
from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.manager.asks import (
    CHALLENGE,
    SESSION,
    SESSION_REQUEST,
    Begin,
    ChallengeWanted,
    Path,
    SessionOffer,
    SessionRequest,
)
from services.manager.ending import end_tasks
from services.manager.errors import BusError, HopError, ManagerError, RefusedError, SilentHopError, WordsError
from services.manager.graph_keeper import GraphKeeper
from services.manager.hops import Hop, Hops, labels_of
from services.manager.lease import Lease
from services.manager.limits import Limits
from services.manager.orders import Orders
from services.manager.peering import halves
from services.manager.peering import words as said
from services.manager.peering.model import Peer
from services.manager.peering.peers import Peers
from services.manager.peering.teller import Teller
from services.manager.registry import Registry
from services.manager.route_book import RouteBook
from services.manager.routes.errors import RouteError
from services.manager.routes.model import Link
from services.manager.signed import read

log = logging.getLogger(__name__)

FOUND_FOR_S, MOST_FOUND = 20.0, 1024
MOST_ASKED = 3
PER_S, BURST = 10.0, 200
"""Sessions that a peer may ask for."""

T = TypeVar("T")

AskPeer = Callable[[NodeId, said.Ask], Awaitable[said.Answer]]
"""By its border of ours. Raises BusError, WordsError."""


class Crossed(NamedTuple):
    """What `begin` found; `paths` lead from the initiator to the responder."""

    cluster: NodeId
    challenge: bytes
    paths: tuple[Path, ...]
    session_port: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Given:
    """To a peer, until it says that it is wanted."""

    half: said.Half
    ways: tuple[said.Way, ...]
    until_s: float


class Crossing:
    """Raises RefusedError with the text for who asked, BusError where asking again may help."""

    def __init__(
        self,
        peers: Peers,
        lease: Lease,
        orders: Orders,
        hops: Hops,
        book: RouteBook,
        registry: Registry,
        keeper: GraphKeeper,
        teller: Teller,
        ask_peer: AskPeer,
    ) -> None:
        self._lease = lease
        self._peers, self._orders, self._hops, self._book = peers, orders, hops, book
        self._registry, self._keeper, self._teller, self._ask_peer = registry, keeper, teller, ask_peer
        self._limits = Limits(PER_S, BURST)
        self._given: dict[tuple[NodeId, NodeId, NodeId, tuple[str, ...]], _Given] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        peers.on_change.append(self._take_change)

    async def stop(self) -> None:
        await end_tasks(self._tasks)

    def _take_change(self, manager: NodeId) -> None:
        """What crosses the border to a cluster that is peered no more goes at once."""
        if manager not in self._peers.peered and self._lease.is_held:
            self._hops.drop([route for route in [*self._book.labels] if self._touches(route, manager)])

    def _touches(self, route: str, manager: NodeId) -> bool:
        labels = self._book.labels.get(route, {}).values()
        return any(manager in {label.initiator_side, label.responder_side} for label in labels)

    # our nodes to theirs

    def is_abroad(self, responder: NodeId, service: str) -> bool:
        return responder not in self._registry.nodes and bool(self._peers.clusters_of(responder, service))

    async def begin(self, initiator: NodeId, begin: Begin) -> Crossed:
        refused = RefusedError(f"node '{begin.responder}' is not in this network, and no peer offers its service")
        for peer in self._peers.clusters_of(begin.responder, begin.service)[:MOST_ASKED]:
            try:
                return await self._begin_by(peer, initiator, begin)
            except RefusedError as error:  # another may repeat what this one's node has signed
                refused = error
        raise refused

    async def _begin_by(self, peer: Peer, initiator: NodeId, begin: Begin) -> Crossed:
        try:
            link = self._link(peer)
            mine, theirs = halves.split_beside(begin.beside, peer.border, peer.manager_id)
            policy = halves.their_policy(begin.policy, self._registry.nodes)
            half = said.Half(initiator, begin.responder, begin.service, begin.routes, policy, theirs)
            found = await self._asked(peer.manager_id, half, said.Found)
            halves.check_ways(found.halves, peer.manager_id, begin.responder, lambda node: node in self._registry.nodes)
            policy = halves.our_policy(begin.policy, policy, found.halves)
            ours, reason = halves.find_ways(self._keeper.graph, initiator, peer.border, policy, len(begin.routes), mine)
            paths = halves.join(begin.routes, ours, found.halves, link, begin.policy, begin.beside)
        except (RouteError, WordsError) as error:
            raise RefusedError(str(error)) from None
        return Crossed(peer.manager_id, found.challenge, paths, found.session_port, reason or found.reason)

    def our_hops(self, cluster: NodeId, paths: Sequence[Path]) -> list[Hop]:
        """Up to our border, which leads on to theirs."""
        found = []
        for path in paths:
            ours = path.nodes.index(cluster)
            found += labels_of(path.route, path.nodes, path.mtu)[:ours]
        return found

    async def open(self, cluster: NodeId, request: bytes) -> None:
        await self._asked(cluster, said.Lay(request), said.Done)

    def close(self, routes: Sequence[str], cluster: NodeId | None = None) -> None:
        """Also beyond the border, behind. To be called while the book still knows them."""
        for manager in [cluster] if cluster is not None else self._peers.peered:
            if gone := tuple(route for route in routes if cluster is not None or self._leads_to(route, manager)):
                self._start(self._drop_there(manager, gone))

    def _leads_to(self, route: str, manager: NodeId) -> bool:
        peer = self._peers.peered[manager]
        label = self._book.labels.get(route, {}).get(peer.border)
        return label is not None and label.responder_side == manager

    async def _drop_there(self, manager: NodeId, routes: tuple[str, ...]) -> None:
        """What is lost is found when the two compare their routes (`keeper`)."""
        try:
            await self._asked(manager, said.Drop(routes), said.Done)
        except ManagerError as error:
            log.info("%d routes are taken back later beyond the border: %s", len(routes), error)

    def _link(self, peer: Peer) -> Link:
        """Between the borders, as ours measures it."""
        link = self._keeper.report(peer.border, peer.manager_id)
        if link is None or not link.up:
            raise RefusedError(f"the border has no link to cluster '{peer.name or peer.manager_id}' now", again=True)
        return link

    async def _asked(self, manager: NodeId, ask: said.Ask, kind: type[T]) -> T:
        try:
            answer = await self._ask_peer(manager, ask)
        except BusError as error:
            raise RefusedError(str(error), again=True) from None
        if isinstance(answer, said.Refused):
            raise RefusedError(f"the other cluster refuses: {answer.why[:300]}", again=answer.again)
        if not isinstance(answer, kind):
            raise RefusedError(f"the other cluster answers '{type(answer).__name__}' to '{type(ask).__name__}'")
        return answer

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # their nodes to ours

    async def answer(self, manager: NodeId, ask: said.Ask) -> said.Answer:
        """What that peer asks."""
        peer = self._peers.peered.get(manager)
        if peer is None:
            raise RefusedError("these two clusters are not peered (any more)")
        match ask:
            case said.Half():
                return await self._find_half(peer, ask)
            case said.Lay():
                return await self._lay_half(peer, ask)
            case said.Drop(routes):
                self._hops.drop([route for route in routes if self._is_theirs(route, peer)])
                return said.Done()
        raise RefusedError("this is not asked of who leads")

    def _is_theirs(self, route: str, peer: Peer) -> bool:
        label = self._book.labels.get(route, {}).get(peer.border)
        return label is not None and label.initiator_side == peer.manager_id

    async def _find_half(self, peer: Peer, half: said.Half) -> said.Found:
        self._check_half(peer, half)
        wanted = ChallengeWanted(half.initiator, half.service, peer.manager_id, half.vouch)
        try:
            policy = half.policy if peer.exports.relays else halves.narrowed(half.policy)
            await self._teller.bring(half.responder)
            asking = asyncio.ensure_future(self._orders.give(half.responder, CHALLENGE, wanted))
            try:
                found = halves.find_ways(
                    self._keeper.graph, peer.border, half.responder, policy, len(half.routes), half.beside
                )
                challenge = (await asking).challenge
            finally:
                asking.cancel()
        except (HopError, RouteError, WordsError) as error:
            raise RefusedError(str(error), again=isinstance(error, SilentHopError)) from None
        ways, reason = found
        now_s = time.monotonic()
        for key in [
            key for key, given in self._given.items() if given.until_s < now_s or len(self._given) > MOST_FOUND
        ]:
            del self._given[key]
        key = (peer.manager_id, half.initiator, half.responder, half.routes)
        self._given[key] = _Given(half, ways, now_s + FOUND_FOR_S)
        return said.Found(challenge, ways, self._registry.nodes[half.responder].record.session_port, reason)

    def _check_half(self, peer: Peer, half: said.Half) -> None:
        try:
            read_node_id(half.initiator)
            for route in half.routes:
                read_route_id(route)
        except IdentityError as error:
            raise RefusedError(str(error)) from None
        if half.responder not in self._registry.nodes or not peer.exports.allows(half.service, half.responder):
            raise RefusedError(f"service '{half.service[:63]}' of node '{half.responder[:64]}' is not exported to you")
        if half.initiator in self._registry.nodes or half.initiator in self._registry.expelled:
            raise RefusedError(f"node '{half.initiator}' is of this cluster, or was expelled from it")
        if half.beside and (half.beside[0], half.beside[-1]) != (peer.border, half.responder):
            raise RefusedError("'beside' is no way between the border and this node")
        if taken := [route for route in half.routes if route in self._book.labels]:
            raise RefusedError(f"route '{taken[0]}' is taken: draw another id")
        if len(self._book.of_node.get(peer.border, ())) + len(half.routes) > said.MAX_CROSSING:
            raise RefusedError(f"{said.MAX_CROSSING} routes are all that may cross the border: close some")
        if not self._limits.allows(peer.manager_id, time.monotonic()):
            raise RefusedError(f"more than {PER_S:g} sessions a second across the border: wait a little")

    async def _lay_half(self, peer: Peer, lay: said.Lay) -> said.Done:
        try:
            by, request = read(lay.request, SESSION_REQUEST, SessionRequest)
            given = self._take_given(peer, by, request)
        except WordsError as error:
            raise RefusedError(str(error)) from None
        hops = []
        for route in request.routes:
            way = halves.of_route(given.ways, given.half.routes.index(route))
            hops += labels_of(route, (peer.manager_id, *way.nodes), way.mtu)[1:]
        offer = SessionOffer(lay.request, peer.manager_id, lay.vouch)
        responder = request.responder
        try:
            await self._hops.lay(hops, lambda: self._orders.give(responder, SESSION, offer), responder)
        except (HopError, WordsError) as error:
            raise RefusedError(str(error), again=isinstance(error, SilentHopError)) from None
        return said.Done()

    def _take_given(self, peer: Peer, by: NodeId, request: SessionRequest) -> _Given:
        """What was given for just that, once; of two routes the second may be left out."""
        pair = (peer.manager_id, by, request.responder)
        for key, given in self._given.items():
            if key[:3] == pair and request.routes and key[3][: len(request.routes)] == request.routes:
                del self._given[key]
                fits = request.initiator == by and request.service == given.half.service and not request.direct
                if fits and given.until_s >= time.monotonic():
                    return given
                break
        raise RefusedError("no such way was given to you just now: begin again")
