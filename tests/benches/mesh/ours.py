"""Our data path along a row of hosts, as facts for `services.kernel`, and nothing that a node program would not want:
links of one kind, one route from the first host to the last, and a session through it; or a direct session.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Interface, IPv6Network

from services.kernel.model import (
    FIRST_VNI,
    LINKS,
    SESSIONS,
    Address,
    AllowedIp,
    Endpoint,
    Fact,
    Link,
    LinkKind,
    Peer,
    Route,
    Rules,
    opened,
    outer,
    pair,
    wire_name,
)
from services.kernel.plan import needs
from tests.benches.mesh.ground import Ground, at, await_answer
from tests.benches.mesh.pump import PORT
from tests.laboratory.layout import Node as Place
from tests.services.kernel.words import SETTINGS, Label, Node, neighbour, own, wired

WIRE, WG = "wire", "wg"
LABEL = Label(0x5EED)
PATH_MTU = {WIRE: 1450, WG: 1420}
SESSION_COST, BLOCK = 80, 16
DIRECT_MTU = 1420


def ground_facts(node: Node) -> list[Fact]:
    """A node without links. The device of sessions carries what a direct one may, each route what its path may."""
    kept = [fact for fact in own(node) if fact.key not in {(Link, SESSIONS), (Route, 254, IPv6Network("fd53::/16"))}]
    far = Route(IPv6Network("fd53::/16"), SESSIONS, source=node.session_address, mtu=session_mtu(PATH_MTU[WG]))
    return [*kept, Link(SESSIONS, LinkKind.WIREGUARD, DIRECT_MTU), far, opened("tcp", PORT)]


class Chain:
    """The facts of each host of a row. `kind` is that of all its links."""

    def __init__(self, row: Sequence[Place], kind: str) -> None:
        self.row, self.kind = row, kind
        self.nodes = [Node(place.name) for place in row]

    def facts(self, place: int) -> list[Fact]:
        return [*ground_facts(self.nodes[place]), *self.links(place), *self.route(place), *self.session(place)]

    def links(self, place: int) -> list[Fact]:
        found: list[Fact] = []
        for other in self._neighbours(place):
            here, there = self._at(place, other), self._at(other, place)
            if self.kind == WG:
                found += neighbour(self.nodes[other], there)
            else:
                found += wired(self.nodes[place], self.nodes[other], min(place, other) + 1, here, there)
        return found

    def route(self, place: int, label: Label = LABEL) -> list[Fact]:
        last = len(self.row) - 1
        if place == 0:
            return self._end(place, label.initiator, label.responder, 1)
        if place == last:
            return self._end(place, label.responder, label.initiator, last - 1)
        left, right = self.device(place, place - 1), self.device(place, place + 1)
        return [
            self.towards(place, label.initiator, place - 1),
            self.towards(place, label.responder, place + 1),
            pair(left, label.initiator, label.responder),
            pair(right, label.responder, label.initiator),
        ]

    def session(self, place: int) -> list[Fact]:
        """Only the first host knows where to begin; the last follows by roaming."""
        last = len(self.row) - 1
        if place not in {0, last}:
            return []
        other = self.nodes[last - place]
        endpoint = Endpoint(LABEL.responder, SETTINGS.session_port) if place == 0 else None
        return session_facts(other, endpoint, session_mtu(PATH_MTU[self.kind]))

    def device(self, place: int, other: int) -> str:
        return LINKS if self.kind == WG else wire_name(FIRST_VNI + min(place, other) + 1)

    def towards(self, place: int, address: IPv6Address, other: int) -> AllowedIp | Route:
        """A hop holds only this: a network of WireGuard's, or a route over the wire."""
        if self.kind == WG:
            return AllowedIp(LINKS, IPv6Network(address), self.nodes[other].link_key)
        return Route(IPv6Network(address), self.device(place, other), via=self.nodes[other].wire_address)

    def _end(self, place: int, here: IPv6Address, there: IPv6Address, other: int) -> list[Fact]:
        device, mtu = self.device(place, other), PATH_MTU[self.kind]
        found: list[Fact] = [Address(device, IPv6Interface((here, 128))), outer(there)]
        if self.kind == WG:
            return [*found, self.towards(place, there, other), Route(IPv6Network(there), LINKS, source=here, mtu=mtu)]
        via = self.nodes[other].wire_address
        return [*found, Route(IPv6Network(there), device, via=via, source=here, mtu=mtu)]

    def _at(self, place: int, seen_from: int) -> str:
        return self.row[place].address(self.row[seen_from].name)

    def _neighbours(self, place: int) -> list[int]:
        return [other for other in (place - 1, place + 1) if 0 <= other < len(self.row)]


def session_mtu(path: int) -> int:
    """wireguard-go fills packets up to whole blocks as long as its device's MTU permits, whatever the route's is: they
    would be some bytes too long for their path, and be cut in two or, sent as UDP's segments, not go at all.
    """
    return (path - SESSION_COST) // BLOCK * BLOCK


def session_facts(other: Node, endpoint: Endpoint | None, mtu: int) -> list[Fact]:
    address = IPv6Network(other.session_address)
    return [
        Peer(SESSIONS, other.session_key, endpoint),
        AllowedIp(SESSIONS, address, other.session_key),
        Route(address, SESSIONS, mtu=mtu),
    ]


def build_chain(ground: Ground, row: str, kind: str) -> str:
    """Returns the address of the last host's end of the session, once it answers the first."""
    hosts = ground.row(row)
    chain = Chain([host.node for host in hosts], kind)
    for place, host in enumerate(hosts):
        ground.agent(host).bring(chain.facts(place))
    target = str(chain.nodes[-1].session_address)
    await_answer(hosts[0], target)
    return target


def build_bare_route(ground: Ground, row: str, kind: str) -> str:
    """A route without a session, for what shall not be hidden by the session's price: the ends have no rules, which
    would let nothing else through. Returns the far end of the route.
    """
    hosts = ground.row(row)
    chain = Chain([host.node for host in hosts], kind)
    for place, host in enumerate(hosts):
        facts = [*own(chain.nodes[place]), *chain.links(place), *chain.route(place)]
        if place in {0, len(hosts) - 1}:
            facts = [fact for fact in facts if not isinstance(fact, Rules) and needs(fact) != (Rules,)]
        ground.agent(host).bring(facts)
    await_answer(hosts[0], str(LABEL.responder))
    return str(LABEL.responder)


def build_direct(ground: Ground, row: str) -> str:
    hosts = ground.row(row)
    nodes = [Node(host.name) for host in hosts]
    for place, (host, other) in enumerate(zip(hosts, reversed(nodes), strict=True)):
        there = IPv4Address(at(hosts[1 - place], host))
        endpoint = Endpoint(there, SETTINGS.session_port)
        facts = [*ground_facts(nodes[place]), outer(there), *session_facts(other, endpoint, DIRECT_MTU)]
        ground.agent(host).bring(facts)
    target = str(nodes[1].session_address)
    await_answer(hosts[0], target)
    return target
