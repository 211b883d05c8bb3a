"""From a neighbour's record to the facts of a link with it, pure: which kind, where it may be, what the kernel needs.

A wire is made where both records have an address in a network that this node's operator trusts; both sides come to the
same pair of addresses, device and VNI by themselves. All else is WireGuard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Interface, IPv6Network, ip_address

from services.kernel.model import (
    FIRST_VNI,
    LINKS,
    Address,
    AllowedIp,
    Endpoint,
    Fact,
    Forwarding,
    IpAddress,
    IpNetwork,
    Link,
    LinkKind,
    Peer,
    Route,
    Vxlan,
    wire,
    wire_name,
)
from services.keys import NodeId, read_curve_key
from services.manager.record import NodeRecord
from services.manager.routes.model import Kind
from services.node.config import read_endpoint
from services.node.model import Facts, LinkEnd
from services.node.own import LINK_MTU
from services.node.underlay import IpInterface, is_within

KEEPALIVE_S = 25
WIRE_MTU4, WIRE_MTU6 = 1450, 1430


@dataclass(frozen=True, slots=True)
class Wire:
    """The two ends of a wire, and its number."""

    vni: int
    local: IpAddress
    remote: IpAddress

    @property
    def device(self) -> str:
        return wire_name(self.vni)


def find_wire(mine: NodeRecord, other: NodeRecord, networks: Iterable[IpNetwork]) -> Wire | None:
    """None where the two have no trusted network in common."""
    for network in sorted(networks, key=str):
        ends = [_first_in(record.wires, network) for record in (mine, other)]
        if ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
            return Wire(_vni(mine.node_id, other.node_id), ends[0], ends[1])
    return None


def candidates(
    record: NodeRecord, seen: str, networks: tuple[IpNetwork, ...], here: Iterable[IpInterface]
) -> list[Endpoint]:
    """Where its link socket may be, the likeliest first: on a network of this machine, as it says, as seen. What is
    link-local counts on such a network alone, as the last of it, and never goes by a router (RFC 3927, 2.6.2).
    """
    here = tuple(here)
    own = {interface.ip for interface in here}
    found = [endpoint for text in (*record.endpoints, seen) if (endpoint := _endpoint(text)) is not None]
    near = {end for end in found if any(end.address in interface.network for interface in here)}
    useful = [end for end in dict.fromkeys(found) if end in near or not end.address.is_link_local]
    useful = [end for end in useful if is_within(end.address, networks) and end.address not in own]
    return sorted(useful, key=lambda end: (end not in near, end.address.is_link_local))


def link_end(record: NodeRecord, wired: Wire | None) -> LinkEnd:
    if wired is None:
        return LinkEnd(LINKS, read_curve_key(record.link_key), None, LINK_MTU)
    mtu = WIRE_MTU4 if wired.local.version == 4 else WIRE_MTU6
    return LinkEnd(wired.device, None, wire_address(IPv6Address(record.link_address)), mtu)


def kind_of(link: LinkEnd) -> Kind:
    return Kind.WG if link.link_key is not None else Kind.WIRE


def link_facts(own: IPv6Address, record: NodeRecord, wired: Wire | None, endpoint: Endpoint | None) -> Facts:
    """`own` is this node's link address. Without an endpoint the peer stays where the kernel has it."""
    far, link = IPv6Network(record.link_address), link_end(record, wired)
    facts: list[Fact] = [Route(far, link.device, via=link.via, source=own)]
    if link.link_key is not None:
        facts += [Peer(LINKS, link.link_key, endpoint, KEEPALIVE_S), AllowedIp(LINKS, far, link.link_key)]
    elif wired is not None:
        facts += _wire_facts(own, wired, link.mtu)
    return tuple(facts)


def wire_address(link_address: IPv6Address) -> IPv6Address:
    """A node's address on its wires: the last 8 bytes are those of its link address."""
    return IPv6Address(b"\xfe\x80" + bytes(6) + link_address.packed[8:])


def _wire_facts(own: IPv6Address, wired: Wire, mtu: int) -> Iterator[Fact]:
    yield Link(wired.device, LinkKind.VXLAN, mtu, Vxlan(wired.vni, wired.local, wired.remote))
    yield Address(wired.device, IPv6Interface((wire_address(own), 64)))
    yield Forwarding(wired.device)
    yield wire(wired.remote, wired.vni)


def _vni(one: NodeId, other: NodeId) -> int:
    both = "".join(sorted((one, other))).encode()
    return FIRST_VNI | int.from_bytes(hashlib.blake2b(both, digest_size=4, person=b"skywire wire").digest()) % FIRST_VNI


def _first_in(addresses: Iterable[str], network: IpNetwork) -> IpAddress | None:
    found = []
    for text in addresses:
        try:
            address = ip_address(text)
        except ValueError:
            continue
        if address in network:
            found.append(address)
    return min(found, key=lambda address: address.packed) if found else None


def _endpoint(text: str) -> Endpoint | None:
    """None for what nobody can be sent to."""
    try:
        endpoint = read_endpoint(text)
    except ValueError:
        return None
    address = endpoint.address
    is_scoped = address.version == 6 and address.is_link_local
    is_usable = not (address.is_unspecified or address.is_multicast or address.is_loopback or is_scoped)
    return endpoint if is_usable else None
