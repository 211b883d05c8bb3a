"""Answers a person's questions and does what they decide: what the socket's requests mean (`api_words`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import msgspec

from services.addresses import new_route_id
from services.keys import NodeId
from services.manager import api_words as words
from services.manager.desk import Build, Desk, Drop
from services.manager.directory import Directory
from services.manager.errors import RefusedError
from services.manager.exposure import Exposure
from services.manager.expulsion import Expulsion
from services.manager.gatekeeper import Gatekeeper
from services.manager.graph_keeper import GraphKeeper
from services.manager.health import Health
from services.manager.invites import invitation_text, new_invitation
from services.manager.peering.decisions import Decisions
from services.manager.registry import Registry
from services.manager.route_book import RouteBook
from services.manager.routes.errors import RouteError
from services.manager.routes.find import find_pair
from services.manager.routes.model import Route
from services.manager.routes.policy import Policy
from services.manager.store import Store
from services.updates.api_words import GetUpdate, PutChunk, StartUpdate, SteerUpdate
from services.updates.office import Updates

LONGEST_S, MOST_USES = 366 * 86400, 10_000


class Office:
    def __init__(
        self,
        managers: tuple[NodeId, ...],
        store: Store,
        registry: Registry,
        keeper: GraphKeeper,
        book: RouteBook,
        directory: Directory,
        desk: Desk,
        expulsion: Expulsion,
        gatekeeper: Gatekeeper,
        health: Health,
        decisions: Decisions,
        exposure: Exposure,
        updates: Updates,
    ) -> None:
        self._managers, self._store, self._registry, self._keeper = managers, store, registry, keeper
        self._book, self._directory, self._desk = book, directory, desk
        self._expulsion, self._gatekeeper, self._health = expulsion, gatekeeper, health
        self._decisions, self._exposure, self._updates = decisions, exposure, updates
        self._lists: dict[type, Callable[[], msgspec.Struct]] = {
            words.GetNodes: self._nodes,
            words.GetLinks: self._links,
            words.GetRoutes: self._routes,
            words.GetServices: self._services,
            words.GetNames: self._names,
            words.GetPeers: decisions.rows,
        }

    async def handle(self, request: words.Request) -> msgspec.Struct:
        """Raises ManagerError."""
        if (listed := self._lists.get(type(request))) is not None:
            return listed()
        answer: msgspec.Struct = words.Done()
        match request:
            case words.GetStatus():
                answer = await self._health.check()
            case words.FindRoute(a, b, policy):
                with _told():
                    ends = self._registry.find(a), self._registry.find(b)
                    pair = find_pair(self._keeper.graph, *ends, self._named(policy))
                found = [route for route in (pair.route, pair.standby) if route is not None]
                answer = words.FoundRoutes(tuple(map(_found_row, found)), pair.reason, self._vouched())
            case words.Invite(lasts_s, uses):
                answer = await self._invite(lasts_s, uses)
            case words.BuildRoute(nodes):
                answer = await self._build(tuple(map(self._registry.find, nodes)))
            case PutChunk() | StartUpdate() | GetUpdate() | SteerUpdate():
                answer = await self._updates.handle(request)
            case words.CloseRoute(route):
                await self._desk.act(Drop(self._find_route(route)))
            case _:
                await self._decide(request)
                await self._exposure.bring()
        return answer

    async def _decide(self, request: words.Request) -> None:
        match request:
            case words.Admit(node_id):
                await self._store.readmit(self._registry.find(node_id))
                await self._store.allow(self._registry.find(node_id))
                self._registry.allowed.add(self._registry.find(node_id))
            case words.Expel(node_id, reason) if self._decisions.is_peer(node_id):
                whole = self._decisions.whole_id(node_id)
                await self._decisions.unpeer(whole)
                await self._store.expel(whole, reason)
            case words.Expel(node_id, reason):
                await self._expulsion.expel(self._registry.find(node_id), reason)
            case words.Pair(lasts_s):
                self._gatekeeper.pair(min(lasts_s, 3600))
            case words.Peer():
                await self._decisions.peer(request)
            case words.AnswerPeer():
                await self._decisions.answer(request)
            case words.Unpeer(manager_id):
                await self._decisions.unpeer(manager_id)
            case words.SetName(name, ""):
                await self._store.unvouch(name)
            case words.SetName(name, node_id):
                await self._store.vouch(name, self._registry.find(node_id))

    async def _invite(self, lasts_s: int, uses: int) -> words.Invited:
        if not (1 <= lasts_s <= LONGEST_S and 1 <= uses <= MOST_USES):
            raise RefusedError(f"an invitation is for 1 to {MOST_USES} uses, and lasts a year at most")
        token, invitation = new_invitation(int(time.time()), lasts_s, uses)
        await self._store.put_invitation(invitation)
        await self._exposure.note(invitation)
        at = self._health.join_at
        return words.Invited(
            invitation_text(at, self._managers[0], token), token, at, invitation.ends_unix_s, invitation.uses_left
        )

    async def _build(self, nodes: tuple[NodeId, ...]) -> words.Built:
        if len(nodes) < 2 or len(set(nodes)) < len(nodes):
            raise RefusedError("a route goes through two nodes or more, and through none twice")
        graph = self._keeper.graph
        mtus = []
        for one, other in pairwise(nodes):
            with _told():
                there, back = graph.link(one, other), graph.link(other, one)
            if there is None or back is None or not (there.up and back.up):
                raise RefusedError(f"'{one}' and '{other}' have no link that both report up (see: links)")
            mtus += [there.mtu, back.mtu]
        built = words.Built(new_route_id().hex(), nodes, min(mtus))
        await self._desk.act(Build(built.route, nodes, built.mtu))
        return built

    def _named(self, policy: Policy) -> Policy:
        """With whole ids."""
        find = self._registry.find
        via, exclude = tuple(map(find, policy.via)), frozenset(map(find, policy.exclude))
        return msgspec.structs.replace(policy, via=via, exclude=exclude)

    def _find_route(self, text: str) -> str:
        found = [route for route in self._book.labels if text and route.startswith(text.lower())]
        if len(found) != 1:
            raise RefusedError(f"{len(found) or 'no'} routes have an id that begins '{text[:40]}' (see: routes)")
        return found[0]

    # lists

    def _nodes(self) -> words.Nodes:
        now, names = time.monotonic(), self._vouched()
        rows = [
            words.NodeRow(
                node_id,
                names.get(node_id, ""),
                self._registry.addresses.get(node_id, ""),
                known.record.endpoints,
                known.record.version,
                known.record.relays,
                node_id in self._managers,
                self._keeper.links_of(node_id),
                round(now - heard, 1) if (heard := self._keeper.heard.get(node_id)) is not None else None,
                self._updates.rollouts.called(node_id),
            )
            for node_id, known in self._registry.nodes.items()
        ]
        return words.Nodes(tuple(sorted(rows, key=lambda row: (not row.is_manager, row.node_id))))

    def _links(self) -> words.Links:
        reports = {(link.src, link.dst): link for link in self._keeper.reports()}
        rows = []
        for (src, dst), link in sorted(reports.items()):
            back = reports.get((dst, src))
            is_up = link.up and (back.up if back is not None else self._decisions.is_peer(dst))
            rows.append(words.LinkRow(src, dst, link.kind, link.latency_s, link.loss, link.mtu, is_up))
        return words.Links(tuple(rows), self._vouched())

    def _routes(self) -> words.Routes:
        rows = [
            words.RouteRow(route, self._book.nodes(route), next(iter(hops.values())).mtu)
            for route, hops in sorted(self._book.labels.items())
        ]
        return words.Routes(tuple(rows), self._vouched())

    def _services(self) -> words.Services:
        offers = [offer.service for offer in self._directory.find()]
        rows = [words.ServiceRow(one.node_id, one.name, one.port, one.open_to) for one in offers]
        return words.Services(tuple(rows), self._vouched())

    def _vouched(self) -> dict[str, str]:
        """Of several names of a node, the first."""
        return {str(node_id): name for name, node_id in sorted(self._registry.names.items(), reverse=True)}

    def _names(self) -> words.Names:
        return words.Names(tuple(words.NameRow(*pair) for pair in sorted(self._registry.names.items())))


def _found_row(route: Route) -> words.FoundRow:
    return words.FoundRow(route.nodes, route.latency_s, route.price, route.bandwidth_bps, route.loss, route.mtu)


@contextmanager
def _told() -> Iterator[None]:
    """The route computer's errors as the manager's."""
    try:
        yield
    except RouteError as error:
        raise RefusedError(str(error)) from None
