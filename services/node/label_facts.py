"""From a label to the facts of the kernel that carry it out, pure; design: "a route is a label pair"."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Interface, IPv6Network

from services.addresses import End, read_route_id, route_address
from services.errors import IdentityError
from services.kernel.model import LINKS, Address, AllowedIp, Fact, Route, pair
from services.keys import NodeId
from services.manager.model import Label
from services.node.errors import OrderError
from services.node.model import LinkEnd, RouteEnd

LEAST_MTU, MOST_MTU = 1280, 9216


def check_label(label: Label, me: NodeId) -> None:
    """Raises OrderError for what no route can be."""
    try:
        read_route_id(label.route)
    except IdentityError as error:
        raise OrderError(str(error)) from None
    sides = (label.initiator_side, label.responder_side)
    if label.gone:
        return
    if sides == (None, None):
        raise OrderError(f"label '{label.route}' has no neighbour on either side")
    if me in sides or sides[0] == sides[1]:
        raise OrderError(f"label '{label.route}' leads back to where it comes from")
    if not LEAST_MTU <= label.mtu <= MOST_MTU:
        raise OrderError(f"label '{label.route}' has MTU {label.mtu}: expected {LEAST_MTU} to {MOST_MTU}")


def addresses(route: str) -> tuple[IPv6Address, IPv6Address]:
    """The initiator's and the responder's."""
    route_id = read_route_id(route)
    return route_address(route_id, End.INITIATOR), route_address(route_id, End.RESPONDER)


def find_end(label: Label) -> RouteEnd | None:
    """This node's end of the route, unless it is a relay."""
    initiator, responder = addresses(label.route)
    if label.initiator_side is None and label.responder_side is not None:
        return RouteEnd(label.route, initiator, responder, label.responder_side, label.mtu)
    if label.responder_side is None and label.initiator_side is not None:
        return RouteEnd(label.route, responder, initiator, label.initiator_side, label.mtu)
    return None


def end_facts(end: RouteEnd, link: LinkEnd) -> list[Fact]:
    far = IPv6Network(end.other)
    own = Address(LINKS, IPv6Interface((end.own, 128)))
    way = Route(far, link.device, via=link.via, source=end.own, mtu=min(end.mtu, link.mtu))
    return [own, way, *_allowed(far, link)]


def relay_facts(label: Label, initiator_side: LinkEnd, responder_side: LinkEnd) -> list[Fact]:
    initiator, responder = addresses(label.route)
    return [
        *_way(IPv6Network(initiator), initiator_side),
        *_way(IPv6Network(responder), responder_side),
        pair(initiator_side.device, initiator, responder),
        pair(responder_side.device, responder, initiator),
    ]


def _way(far: IPv6Network, link: LinkEnd) -> list[Fact]:
    """All routes over WireGuard go by one entry of the FIB: there the allowed IP is the way."""
    return _allowed(far, link) or [Route(far, link.device, via=link.via)]


def _allowed(far: IPv6Network, link: LinkEnd) -> list[Fact]:
    return [AllowedIp(link.device, far, link.link_key)] if link.link_key is not None else []
