"""Which client has which address, pure. A client has the same one each time, as long as nothing else uses its range.

Addresses come from pools of one size, the first one the configuration's; another is begun where a client, or the
uplink, uses the range itself. A pool's first address is its resolver's. A lease's number is the client's in the
firewall, and the end of its IPv6 address.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import msgspec

from services.keys import NodeId
from services.vpn.errors import LeaseError
from services.vpn.words import IpNetwork

RANGES = tuple(map(IPv4Network, ("100.64.0.0/10", "10.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")))
"""Where pools may lie, in this order: the first is for what stands between a host and the internet (RFC 6598)."""

CLIENTS6 = IPv6Network("fd54::/16")
FIRST_NUMBER, LAST_NUMBER = 2, 0xFFFF
MAX_POOLS = 16
RESOLVER_NUMBER = 1


@dataclass(frozen=True, slots=True)
class Lease:
    node_id: NodeId
    number: int
    ipv4: IPv4Address


class KeptLeases(msgspec.Struct, frozen=True):
    """As they are written: (node id, number, address) each, the longest unused first."""

    pool: str
    leases: tuple[tuple[NodeId, int, str], ...]

    @classmethod
    def of(cls, pool: IPv4Network, leases: Iterable[Lease]) -> KeptLeases:
        return cls(str(pool), tuple((lease.node_id, lease.number, str(lease.ipv4)) for lease in leases))

    def read(self, pool: IPv4Network) -> list[Lease]:
        """None of them, where the configuration has another pool now, or what was written is none."""
        try:
            found = [Lease(node_id, number, IPv4Address(text)) for node_id, number, text in self.leases]
        except ValueError:
            return []
        distinct = len({lease.number for lease in found}) == len({lease.ipv4 for lease in found}) == len(found)
        is_sound = distinct and all(FIRST_NUMBER <= lease.number <= LAST_NUMBER for lease in found)
        return found if self.pool == str(pool) and is_sound else []


def network6(server: NodeId) -> IPv6Network:
    """The IPv6 range of a server's clients: of their own for each server, since NAT hides it anyway."""
    part = blake2b(bytes.fromhex(server), digest_size=6, person=b"skywire fd54").digest()
    return IPv6Network((CLIENTS6.network_address.packed[:2] + part + bytes(8), 64))


def address6(network: IPv6Network, number: int) -> IPv6Address:
    return network.network_address + number


def resolver4(pool: IPv4Network) -> IPv4Address:
    return pool.network_address + 1


class Leases:
    def __init__(self, pool: IPv4Network, known: Iterable[Lease] = ()) -> None:
        """`known`: from before, the longest unused first."""
        self._first, self._size = pool, pool.prefixlen
        self._of: dict[NodeId, Lease] = {lease.node_id: lease for lease in known}
        self._numbers = {lease.number for lease in self._of.values()}
        self._addresses = {lease.ipv4 for lease in self._of.values()}
        self.pools = list(dict.fromkeys([pool, *map(self.pool_of, self._addresses)]))

    @property
    def all(self) -> tuple[Lease, ...]:
        """The longest unused first."""
        return tuple(self._of.values())

    def get(self, node_id: NodeId) -> Lease | None:
        return self._of.get(node_id)

    def pool_of(self, address: IPv4Address) -> IPv4Network:
        return IPv4Network((address, self._size), strict=False)

    def lease(self, node_id: NodeId, avoid: Sequence[IpNetwork], busy: Collection[NodeId]) -> tuple[Lease, bool]:
        """The client's, and whether it is new; where its address is moved, it keeps its number. `avoid`: ranges that
        it must not lie in; `busy`: clients whose leases are in use. Raises LeaseError.
        """
        have = self._of.pop(node_id, None)
        if have is not None and not any(self.pool_of(have.ipv4).overlaps(net) for net in _four(avoid)):
            self._of[node_id] = have
            return have, False
        if have is not None:
            self._forget(have)
        try:
            number = have.number if have is not None else self._number(busy)
            new = Lease(node_id, number, self._address(avoid, busy))
        except LeaseError:
            if have is not None:
                self._remember(have)
            raise
        self._remember(new)
        return new, True

    def _remember(self, lease: Lease) -> None:
        self._of[lease.node_id] = lease
        self._numbers.add(lease.number)
        self._addresses.add(lease.ipv4)
        if (pool := self.pool_of(lease.ipv4)) not in self.pools:
            self.pools.append(pool)

    def _forget(self, lease: Lease) -> None:
        self._of.pop(lease.node_id, None)
        self._numbers.discard(lease.number)
        self._addresses.discard(lease.ipv4)
        pool = self.pool_of(lease.ipv4)
        if pool != self._first and not any(address in pool for address in self._addresses):
            self.pools.remove(pool)

    def _number(self, busy: Collection[NodeId]) -> int:
        for number in range(FIRST_NUMBER, LAST_NUMBER + 1):
            if number not in self._numbers:
                return number
        return self._take_from(self.all, busy).number

    def _address(self, avoid: Sequence[IpNetwork], busy: Collection[NodeId]) -> IPv4Address:
        pool = next(self._usable(avoid), None)
        if pool is None:
            raise LeaseError("no range is left that neither the uplink nor the client uses itself")
        for number in range(FIRST_NUMBER, pool.num_addresses - 1):
            if (address := pool.network_address + number) not in self._addresses:
                return address
        return self._take_from([lease for lease in self.all if lease.ipv4 in pool], busy).ipv4

    def _usable(self, avoid: Sequence[IpNetwork]) -> Iterator[IPv4Network]:
        """The pools there are, then the first of each range that could be begun."""
        taken = sorted(_four(avoid))
        for pool in self.pools:
            if not any(pool.overlaps(network) for network in taken):
                yield pool
        for span in RANGES if len(self.pools) < MAX_POOLS else ():
            if (free := _first_free(span, self._size, taken)) is not None:
                yield free

    def _take_from(self, leases: Iterable[Lease], busy: Collection[NodeId]) -> Lease:
        """The lease of whoever was away the longest."""
        for lease in leases:
            if lease.node_id not in busy:
                self._forget(lease)
                return lease
        raise LeaseError("all addresses are in use (give a larger pool)")


def _first_free(span: IPv4Network, size: int, taken: Iterable[IPv4Network]) -> IPv4Network | None:
    """The first network of that size in the span that overlaps none of the others, which are sorted. What a client
    wants avoided costs a step each, however small the networks are.
    """
    step = 1 << (32 - size)
    start = int(span.network_address)
    for network in taken:
        first, last = int(network.network_address), int(network.broadcast_address)
        if first < start + step and last >= start:
            start = (last // step + 1) * step
    return IPv4Network((start, size)) if start + step - 1 <= int(span.broadcast_address) else None


def _four(networks: Iterable[IpNetwork]) -> list[IPv4Network]:
    return [network for network in networks if isinstance(network, IPv4Network)]
