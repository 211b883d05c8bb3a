"""What the tests want of their hosts, put together from the words of the model."""

from __future__ import annotations

import subprocess
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, IPv6Interface, IPv6Network

from services.kernel import rules
from services.kernel.model import (
    FIRST_VNI,
    LINKS,
    SESSIONS,
    Address,
    AllowedIp,
    Device,
    Endpoint,
    Fact,
    Forwarding,
    Link,
    LinkKind,
    Peer,
    Route,
    Vxlan,
    outer,
    pair,
    wire,
    wire_name,
)

SETTINGS = rules.Settings()
SINK = blake2b(b"sink", digest_size=32).digest()


@dataclass(frozen=True)
class Node:
    """The keys and addresses of one host."""

    name: str

    @property
    def link_private(self) -> bytes:
        return self._seed(b"link")

    @property
    def session_private(self) -> bytes:
        return self._seed(b"session")

    @cached_property
    def link_key(self) -> bytes:
        return public(self.link_private)

    @cached_property
    def session_key(self) -> bytes:
        return public(self.session_private)

    @property
    def link_address(self) -> IPv6Address:
        return IPv6Address(b"\xfd\x4c" + self._seed(b"fd4c")[:14])

    @property
    def session_address(self) -> IPv6Address:
        return IPv6Address(b"\xfd\x53" + self._seed(b"fd53")[:14])

    @property
    def wire_address(self) -> IPv6Address:
        return IPv6Address(b"\xfe\x80" + bytes(6) + self._seed(b"fe80")[:8])

    def _seed(self, what: bytes) -> bytes:
        return blake2b(self.name.encode(), key=what, digest_size=32).digest()


def public(private: bytes) -> bytes:
    done = subprocess.run(["wg", "pubkey"], input=b64encode(private), capture_output=True, check=True, timeout=30)
    return b64decode(done.stdout)


def own(node: Node, settings: rules.Settings = SETTINGS) -> list[Fact]:
    """Both interfaces of a node, without neighbours and sessions."""
    ula = [IPv6Network("fd4c::/16"), IPv6Network("fd52::/15")]
    return [
        rules.fixed(settings),
        Link(LINKS, LinkKind.WIREGUARD, 1420),
        Device(LINKS, node.link_private, settings.link_port, 0x51),
        Address(LINKS, IPv6Interface((node.link_address, 128))),
        Forwarding(LINKS),
        Route(IPv6Network("fd52::/16"), LINKS),
        Link(SESSIONS, LinkKind.WIREGUARD, 1340),
        Device(SESSIONS, node.session_private, settings.session_port, 0x51),
        Address(SESSIONS, IPv6Interface((node.session_address, 128))),
        Route(IPv6Network("fd53::/16"), SESSIONS, source=node.session_address),
        Peer(SESSIONS, SINK),
        *(AllowedIp(SESSIONS, network, SINK) for network in ula),
    ]


def neighbour(node: Node, at: str) -> list[Fact]:
    return [
        Peer(LINKS, node.link_key, Endpoint(IPv4Address(at), SETTINGS.link_port)),
        AllowedIp(LINKS, IPv6Network(node.link_address), node.link_key),
        Route(IPv6Network(node.link_address), LINKS),
    ]


def wired(own_node: Node, node: Node, number: int, at: str, to: str) -> list[Fact]:
    """A wire to a neighbour on the same switch."""
    vni = FIRST_VNI + number
    return [
        Link(wire_name(vni), LinkKind.VXLAN, 1450, Vxlan(vni, IPv4Address(at), IPv4Address(to))),
        Address(wire_name(vni), IPv6Interface((own_node.wire_address, 64))),
        Forwarding(wire_name(vni)),
        wire(IPv4Address(to), vni),
    ]


@dataclass(frozen=True)
class Label:
    """A route's random number."""

    number: int

    @property
    def initiator(self) -> IPv6Address:
        return IPv6Address(0xFD52 << 112 | self.number << 16 | 1)

    @property
    def responder(self) -> IPv6Address:
        return IPv6Address(0xFD52 << 112 | self.number << 16 | 2)


def relays(label: Label, towards_initiator: Node, towards_responder: Node) -> list[Fact]:
    """What a relay holds of a route between two WireGuard neighbours."""
    return [
        AllowedIp(LINKS, IPv6Network(label.initiator), towards_initiator.link_key),
        AllowedIp(LINKS, IPv6Network(label.responder), towards_responder.link_key),
        pair(LINKS, label.initiator, label.responder),
        pair(LINKS, label.responder, label.initiator),
    ]


def ends(label: Label, first_hop: Node, *, initiates: bool) -> list[Fact]:
    """What an end holds of a route."""
    here, there = label.initiator, label.responder
    if not initiates:
        here, there = there, here
    return [
        Address(LINKS, IPv6Interface((here, 128))),
        AllowedIp(LINKS, IPv6Network(there), first_hop.link_key),
        Route(IPv6Network(there), LINKS, source=here, mtu=1340),
        outer(there),
    ]


def session(node: Node, at: IPv6Address | None) -> list[Fact]:
    endpoint = Endpoint(at, SETTINGS.session_port) if at else None
    return [
        Peer(SESSIONS, node.session_key, endpoint),
        AllowedIp(SESSIONS, IPv6Network(node.session_address), node.session_key),
    ]


def wire_relays(label: Label, towards_initiator: Node, towards_responder: Node, wire_device: str) -> list[Fact]:
    """What a relay holds of a route that comes over WireGuard and goes on over a wire."""
    return [
        AllowedIp(LINKS, IPv6Network(label.initiator), towards_initiator.link_key),
        Route(IPv6Network(label.responder), wire_device, via=towards_responder.wire_address),
        pair(LINKS, label.initiator, label.responder),
        pair(wire_device, label.responder, label.initiator),
    ]
