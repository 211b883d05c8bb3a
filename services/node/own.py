"""The facts of a node by itself, without neighbours or sessions: its two interfaces, its addresses, the rules.

The sink is a peer that nobody has the key of: it owns our ranges on `sky0`, so no session's peer can deliver them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv6Interface, IPv6Network

from services.addresses import LINKS as LINK_ADDRESSES
from services.addresses import ROUTES, link_address, session_address
from services.addresses import SESSIONS as SESSION_ADDRESSES
from services.kernel import rules
from services.kernel.model import (
    LINKS,
    SESSIONS,
    Address,
    AllowedIp,
    Device,
    Fact,
    Forwarding,
    Link,
    LinkKind,
    Peer,
    Route,
    outside,
)
from services.keys import Identity

FWMARK = 0x51
"""On every packet that goes to the underlay: tunnels, joins."""

LINK_MTU, DIRECT_MTU = 1420, 1420
RELAYED_MTU = 1328
"""A multiple of 16: wireguard-go pads packets to that as far as its device, not the route, allows."""
SINK = hashlib.blake2b(b"skywire sink", digest_size=32).digest()
SUNK = (LINK_ADDRESSES, IPv6Network("fd52::/15"))


def own_facts(identity: Identity, settings: rules.Settings, ports: Iterable[tuple[str, int]] = ()) -> list[Fact]:
    """`ports` are those that are reached from outside the mesh, on a board: (protocol, port)."""
    link, session = link_address(identity.link_key), session_address(identity.node_id)
    return [
        rules.fixed(settings),
        *(outside(protocol, port) for protocol, port in ports),
        Link(LINKS, LinkKind.WIREGUARD, LINK_MTU),
        Device(LINKS, identity.link_secret().reveal(), settings.link_port, FWMARK),
        Address(LINKS, IPv6Interface((link, 128))),
        Forwarding(LINKS),
        Route(ROUTES, LINKS),
        Link(SESSIONS, LinkKind.WIREGUARD, DIRECT_MTU),
        Device(SESSIONS, identity.session_secret().reveal(), settings.session_port, FWMARK),
        Address(SESSIONS, IPv6Interface((session, 128))),
        Route(SESSION_ADDRESSES, SESSIONS, source=session, mtu=RELAYED_MTU),
        Peer(SESSIONS, SINK),
        *(AllowedIp(SESSIONS, network, SINK) for network in SUNK),
    ]
