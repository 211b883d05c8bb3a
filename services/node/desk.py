"""What is asked on the node's socket, to the part that knows. Decides nothing itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from ipaddress import IPv6Address
from typing import Any, Protocol

from services.addresses import End, read_route, session_address
from services.errors import IdentityError
from services.kernel.errors import KernelError
from services.kernel.meter import Pair
from services.kernel.model import SESSIONS, Count, Traffic
from services.keys import NodeId
from services.manager import asks
from services.manager.errors import WordsError
from services.manager.model import Label, Service
from services.manager.offer import read_service
from services.node import api_words as words
from services.node.api_words import Answer, Request
from services.node.carrier import Carrier
from services.node.errors import AwayError, NodeError, RefusedError
from services.node.members import Members
from services.node.model import LinkState
from services.node.names import Names
from services.node.opener import Asker
from services.node.outside import Outsides
from services.node.paths import DIRECT
from services.node.pilot import Pilot
from services.node.services import Publisher
from services.node.session_words import Session, peer_key
from services.node.sessions import Sessions
from services.node.underlay import write_endpoint

log = logging.getLogger(__name__)

FIND_WITHIN_S = 3.0
LOOK_AGAIN_S = (0.05, 0.2, 0.5, 1.0)
HEADERS = 48
"""Of an outer packet: IPv6 and UDP."""


class Figures(Protocol):
    async def traffic(self, device: str) -> list[Traffic]: ...

    async def counters(self) -> dict[Pair, Count]: ...


class Labelled(Protocol):
    def states(self) -> list[tuple[Label, float]]: ...


class Linked(Protocol):
    def states(self) -> Iterable[LinkState]: ...


class Desk:
    told_errors = (NodeError, KernelError, IdentityError)

    def __init__(
        self,
        kernel: Figures,
        links: Linked,
        labels: Labelled,
        home: Asker,
        sessions: Sessions,
        publisher: Publisher,
        members: Members,
        carrier: Carrier,
        outsides: Outsides,
        names: Names,
        vouch: Callable[[str, bytes], bytes],
        status: Callable[[], Awaitable[words.Status]],
    ) -> None:
        self._kernel, self._links, self._labels, self._home = kernel, links, labels, home
        self._sessions, self._publisher, self._members, self._names = sessions, publisher, members, names
        self._carrier, self._outsides, self._vouch_for, self._status = carrier, outsides, vouch, status
        self._answers: dict[type, Callable[[Any], Awaitable[Answer]]] = {
            words.GetStatus: self._get_status,
            words.GetLinks: self._get_links,
            words.GetSessions: self._get_sessions,
            words.GetRoutes: self._get_routes,
            words.GetServices: self._get_services,
            words.GetMeter: self._get_meter,
            words.Publish: publisher.publish,
            words.Connect: self._connect,
            words.Close: self._close,
            words.Find: self._find,
            words.Resolve: self._resolve,
            words.SetPet: self._set_pet,
            words.GetPets: self._get_pets,
            words.Carry: carrier.carry,
            words.Uncarry: self._uncarry,
            words.Vouch: self._vouch,
            **dict.fromkeys((words.Member, words.Border, words.ManagerPeer), self._let_in),
            words.Unmember: self._let_out,
            words.GetSeen: self._get_seen,
            words.Outside: outsides.take,
        }

    async def answer(self, request: Request) -> Answer:
        return await self._answers[type(request)](request)

    async def let_go(self, held: words.Held) -> None:
        match held:
            case words.Publish():
                await self._publisher.withdraw(held.name)
            case words.Carry():
                await self._carrier.let_go(held)
            case words.Outside():
                await self._outsides.let_go(held)

    # what is here

    async def _get_status(self, _: words.GetStatus) -> words.Status:
        return await self._status()

    async def _get_links(self, _: words.GetLinks) -> words.Links:
        return words.Links(tuple(_link(state) for state in self._links.states()))

    async def _get_routes(self, _: words.GetRoutes) -> words.Routes:
        states = self._labels.states()
        return words.Routes(
            tuple(
                words.RouteState(label.route, label.initiator_side, label.responder_side, label.mtu, idle_s)
                for label, idle_s in states
            )
        )

    async def _get_services(self, _: words.GetServices) -> words.Services:
        return words.Services(self._publisher.states())

    async def _get_sessions(self, _: words.GetSessions) -> words.Sessions:
        figures = await self._figures()
        return words.Sessions(
            tuple(
                _session(session, self._sessions.pilot(session.node_id), figures.get(peer_key(session.node_id)))
                for session in self._sessions.words
            )
        )

    async def _get_meter(self, _: words.GetMeter) -> words.Metered:
        counters, figures = await self._kernel.counters(), await self._figures()
        ends = []
        for session in self._sessions.words:
            figure = figures.get(peer_key(session.node_id))
            if figure is not None:
                ends.append(words.EndRow(session.node_id, session.routes, figure.received, figure.sent))
        return words.Metered(tuple(meter_rows(counters)), tuple(ends))

    async def _figures(self) -> dict[bytes, Traffic]:
        return {figure.public_key: figure for figure in await self._kernel.traffic(SESSIONS)}

    # sessions and services

    async def _connect(self, request: words.Connect) -> words.Connected:
        node_id = await self._names.whom(request.whom)
        looking = asyncio.ensure_future(self._look_up(request.service, node_id))
        try:
            opened = await self._sessions.connect(node_id, request.service, request.policy)
            service = await looking
            for pause_s in () if service is not None else LOOK_AGAIN_S:
                await asyncio.sleep(pause_s)
                if (service := await self._look_up(request.service, node_id)) is not None:
                    break
        finally:
            looking.cancel()
        port = service.port if service is not None else 0
        return words.Connected(node_id, str(session_address(node_id)), port, opened.mtu)

    async def _look_up(self, service: str, node_id: NodeId) -> Service | None:
        """The latest word of that node, if a manager has it; what was published just now may not be there yet."""
        with suppress(AwayError, RefusedError):
            offered = await self._offered(asks.Find(service, node_id))
            return max((one for one in offered if one.node_id == node_id), key=lambda one: one.sequence, default=None)
        return None

    async def _offered(self, find: asks.Find) -> list[Service]:
        return (await self._found(find))[0]

    async def _found(self, find: asks.Find) -> tuple[list[Service], dict[str, NodeId]]:
        """What is offered, and which of the nodes are of other clusters."""
        found = await self._home.ask(find, asks.Found, within_s=FIND_WITHIN_S)
        services = []
        for signed in found.services:
            try:
                services.append(read_service(signed))
            except WordsError as error:
                self._sessions.troubles.note(f"a manager tells of a service that is not sound: {error}")
        wanted = [one for one in services if find.name in {"", one.name} and find.node_id in {"", one.node_id}]
        return wanted, found.clusters

    async def _close(self, request: words.Close) -> words.Done:
        await self._sessions.close_with(await self._names.whom(request.node_id))
        return words.Done()

    async def _find(self, request: words.Find) -> words.Services:
        node_id = await self._names.whom(request.node_id) if request.node_id else ""
        offered, clusters = await self._found(asks.Find(request.name, node_id))
        return words.Services(tuple(_service(one, clusters.get(one.node_id, "")) for one in offered))

    async def _uncarry(self, request: words.Uncarry) -> words.Done:
        await self._carrier.uncarry(request)
        return words.Done()

    async def _vouch(self, request: words.Vouch) -> words.Vouched:
        return words.Vouched(self._vouch_for(request.purpose, request.key))

    # names

    async def _resolve(self, request: words.Resolve) -> words.Resolved:
        return await self._names.resolve(request.name)

    async def _set_pet(self, request: words.SetPet) -> words.Pets:
        self._names.set_pet(request.name, request.node_id)
        return words.Pets(self._names.pets())

    async def _get_pets(self, _: words.GetPets) -> words.Pets:
        return words.Pets(self._names.pets())

    # the manager's

    async def _let_in(self, request: words.Member | words.ManagerPeer | words.Border) -> words.Done:
        await self._members.take(request)
        return words.Done()

    async def _let_out(self, request: words.Unmember) -> words.Done:
        await self._members.drop(NodeId(request.node_id))
        return words.Done()

    async def _get_seen(self, _: words.GetSeen) -> words.Seen:
        figures = await self._figures()
        known = {*self._members.ids, *(session.node_id for session in self._sessions.words)}
        sessions: dict[str, str] = {}
        for node_id in known:
            figure = figures.get(peer_key(node_id))
            if figure is not None and figure.endpoint is not None:
                sessions[node_id] = write_endpoint(figure.endpoint)
        links = {str(state.node_id): state.endpoint for state in self._links.states() if state.is_up and state.endpoint}
        return words.Seen(links, sessions)


def meter_rows(counters: dict[Pair, Count]) -> Iterable[words.MeterRow]:
    for (device, _, destination), count in counters.items():
        try:
            route, end = read_route(IPv6Address(destination))
        except IdentityError:
            continue
        towards = "initiator" if end is End.INITIATOR else "responder"
        payload = count.bytes - HEADERS * count.packets
        yield words.MeterRow(route.hex(), device, towards, count.packets, count.bytes, payload)  # type: ignore[arg-type]


def _link(state: LinkState) -> words.LinkState:
    return words.LinkState(
        state.node_id,
        state.kind,
        state.device,
        str(state.address),
        state.endpoint,
        state.is_up,
        state.rtt_s / 2,
        state.loss,
        state.mtu,
        state.why,
    )


def _session(session: Session, pilot: Pilot | None, figure: Traffic | None) -> words.SessionState:
    active = pilot.paths.active if pilot is not None else session.active
    routes = [*session.routes, *([DIRECT] if session.direct and active == DIRECT else [])]
    return words.SessionState(
        session.node_id,
        str(session_address(session.node_id)),
        session.is_initiator,
        session.services,
        session.policy,
        tuple(_path(session, route, active, pilot) for route in routes),
        session.mtu,
        session.switches,
        session.opened_unix_s,
        figure.handshake_s if figure is not None else 0,
        figure.received if figure is not None else 0,
        figure.sent if figure is not None else 0,
    )


def _path(session: Session, route: str, active: str, pilot: Pilot | None) -> words.PathState:
    """What is measured is known at the initiator alone."""
    way = pilot.paths.ways.get(route) if pilot is not None else None
    told = next((told for told in session.ways if told.route == route), None)
    return words.PathState(
        route,
        told.nodes if told is not None else (),
        str(session.far(route)) if route else session.direct[0],
        route == active,
        way.is_up if way is not None else True,
        way.rtt_s / 2 if way is not None else 0.0,
        way.loss if way is not None else 0.0,
        told.mtu if told is not None else session.mtu,
    )


def _service(service: Service, cluster: str = "") -> words.ServiceState:
    address = str(session_address(service.node_id))
    told = (service.node_id, service.name, address, service.port, service.open_to, service.labels)
    return words.ServiceState(*told, cluster)
