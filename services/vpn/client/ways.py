"""Which way packets go, pure: the routes and rules that are wanted of the kernel, in a table of the client's own.

main first, but for its default: one's own networks and the mesh are where they ever were
then, for all that has not the node's mark: the table, with the tunnel as its default and, beneath it, `unreachable`,
so that nothing goes past it when the tunnel's interface is away
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network, ip_network

import msgspec

from services.kernel.model import LINK_RANGE, MAIN_TABLE, ROUTE_RANGE, SESSION_RANGE
from services.node.own import FWMARK

PROTOCOL = 84
"""Of routes and rules; the node's is 83."""

TABLE = 84
MAIN_PRIORITY, OWN_PRIORITY = 8400, 8401
METRIC, LAST_METRIC = 100, 1_000_000
EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))
MESH = (LINK_RANGE, ROUTE_RANGE, SESSION_RANGE)
SHARED = IPv4Network("100.64.0.0/10")
"""RFC 6598: of carriers that translate addresses, and of the VPN's clients."""

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network


MOST_AVOIDED = 64
"""A server takes no more."""


class Kind(StrEnum):
    TUNNEL = "tunnel"
    UNREACHABLE = "unreachable"
    THROW = "throw"
    """As if this table had no route."""


class Way(msgspec.Struct, frozen=True):
    """A route of the table. `source` and `mtu` are those of packets into the tunnel."""

    destination: IpNetwork
    kind: Kind
    metric: int = METRIC
    source: IpAddress | None = None
    mtu: int = 0


class Rule(msgspec.Struct, frozen=True):
    """`unmarked`: for packets without the node's mark; `no_default`: its default routes do not count."""

    version: int
    priority: int
    table: int
    unmarked: int = 0
    no_default: bool = False


class Lent(msgspec.Struct, frozen=True):
    """What a server lent, as far as packets are concerned."""

    ipv4: IPv4Address
    ipv6: IPv6Address | None
    dns: tuple[IpAddress, ...]
    mtu: int

    @property
    def addresses(self) -> tuple[IpAddress, ...]:
        return (self.ipv4, *([self.ipv6] if self.ipv6 else []))


class Wanted(msgspec.Struct, frozen=True):
    """`addresses` are those of `sky0`."""

    rules: frozenset[Rule] = frozenset()
    ways: frozenset[Way] = frozenset()
    addresses: frozenset[IpAddress] = frozenset()


def wanted(only: Iterable[IpNetwork], exclude: Iterable[IpNetwork], lent: Lent | None) -> Wanted:
    """Without a lease whatever would go through the tunnel goes nowhere; IPv4 then still has a route to it, since a
    program that may pass (a portal's) finds its own way only from there.
    """
    inside = tuple(only) or EVERYTHING
    found = {*_kept_in(inside), *(Way(network, Kind.THROW) for network in exclude)}
    for network in inside:
        found.add(_tunnel(network, lent))
    if lent is not None:
        found.update(_tunnel(ip_network(resolver), lent) for resolver in lent.dns)
    return Wanted(frozenset(_rules()), frozenset(found), frozenset(lent.addresses if lent else ()))


def _kept_in(inside: Iterable[IpNetwork]) -> Iterator[Way]:
    for network in (*inside, *MESH):
        yield Way(network, Kind.UNREACHABLE, LAST_METRIC)


def _tunnel(network: IpNetwork, lent: Lent | None) -> Way:
    if network.version == 4:
        source = lent.ipv4 if lent else None
        return Way(network, Kind.TUNNEL, source=source, mtu=lent.mtu if lent else 0)
    if lent is None or lent.ipv6 is None:
        return Way(network, Kind.UNREACHABLE)
    return Way(network, Kind.TUNNEL, source=lent.ipv6, mtu=lent.mtu)


def _rules() -> Iterator[Rule]:
    for version in (4, 6):
        yield Rule(version, MAIN_PRIORITY, MAIN_TABLE, no_default=True)
        yield Rule(version, OWN_PRIORITY, TABLE, unmarked=FWMARK)


def to_avoid(addresses: Iterable[tuple[str, IPv4Interface]]) -> tuple[IPv4Network, ...]:
    """The networks of one's own interfaces, (device, address): what is in them is not reached by the tunnel. Where a
    carrier of an uplink uses the shared range, all of it: nobody can say which part.
    """
    networks = {address.network for device, address in addresses if not device.startswith("sky") and device != "lo"}
    if any(network.overlaps(SHARED) for network in networks):
        networks = {SHARED, *(network for network in networks if not network.subnet_of(SHARED))}
    return tuple(sorted(networks))[:MOST_AVOIDED]
