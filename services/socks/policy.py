"""Where a server may connect to. Pure; asked of addresses, after a name was resolved and right before that very
address is connected to, so that a name which changes its mind (DNS rebinding) gains nothing.

In this order: what `allow` lists may be, what `deny` lists may not, what is not of the public Internet may not (it is
private, shared, link-local with the clouds' metadata, loopback, multicast, and the mesh's own ranges in fc00::/7).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network

from services.socks.model import IpAddress

_IPV6 = r"[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*"
_RULE = re.compile(rf"(\*|\[{_IPV6}\](?:/\d+)?|[0-9.]+(?:/\d+)?|{_IPV6}/\d+)(?::([\d,-]+))?")

_NOT_PUBLIC4 = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"),
)
"""IANA's special-purpose addresses without those for documentation, which lead nowhere; multicast and class E."""

_PUBLIC6 = "2000::/3"
_NOT_PUBLIC6 = ("2001::/23", "2002::/16", "3fff::/20")
_NAT64 = "64:ff9b::/96"
"""IPv6 is public inside 2000::/3 alone, without Teredo, ORCHID and 6to4; and where NAT64 leads to public IPv4."""

Range = tuple[int, int]
"""Network and mask, as numbers."""


class Rule:
    """`10.1.0.0/16`, `192.168.1.7:80,443`, `[2001:db8::]/32:8000-8100`, `*:25`. No ports means all."""

    __slots__ = ("networks", "ports")

    def __init__(
        self, networks: tuple[IPv4Network | IPv6Network, ...], ports: tuple[tuple[int, int], ...] = ()
    ) -> None:
        self.networks, self.ports = networks, ports

    @classmethod
    def read_setting(cls, text: str) -> Rule:
        found = _RULE.fullmatch(text)
        try:
            if found is None:
                raise ValueError
            where, ports = found[1].replace("[", "").replace("]", ""), found[2]
            networks = (ip_network("0.0.0.0/0"), ip_network("::/0")) if where == "*" else (ip_network(where),)
            return cls(networks, tuple(_read_ports(one) for one in ports.split(",")) if ports else ())
        except ValueError:
            raise ValueError("expected a network with ports, such as 192.168.1.0/24:80,443 or *:25") from None


def _read_ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    ports = (int(first), int(last or first))
    if not 0 < ports[0] <= ports[1] < 65536:
        raise ValueError
    return ports


class Policy:
    def __init__(self, allow: Iterable[Rule] = (), deny: Iterable[Rule] = ()) -> None:
        self._allow, self._deny = Table(allow), Table(deny)

    def permits(self, address: IpAddress, port: int) -> bool | None:
        """None: since nothing forbids it; so the caller may still find that it is an address of its own. An address in
        its plain spelling (`model.plain`); an IPv4 address that is written as IPv6 is not public.
        """
        if self._allow.holds(address, port):
            return True
        if self._deny.holds(address, port) or not is_public(address):
            return False
        return None


def is_public(address: IpAddress) -> bool:
    number = int(address)
    if isinstance(address, IPv4Address):
        return not any(number & mask == network for network, mask in _RANGES4)
    if number & _NAT64_RANGE[1] == _NAT64_RANGE[0]:
        return is_public(IPv4Address(number & 0xFFFFFFFF))
    return number & _PUBLIC6_RANGE[1] == _PUBLIC6_RANGE[0] and not any(
        number & mask == network for network, mask in _RANGES6
    )


def _range(network: IPv4Network | IPv6Network) -> Range:
    return int(network.network_address), int(network.netmask)


_RANGES4 = [_range(ip_network(text)) for text in _NOT_PUBLIC4]
_RANGES6 = [_range(ip_network(text)) for text in _NOT_PUBLIC6]
_PUBLIC6_RANGE, _NAT64_RANGE = _range(ip_network(_PUBLIC6)), _range(ip_network(_NAT64))


class Table:
    """Rules made ready to be asked often."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rows: dict[int, list[tuple[Range, tuple[tuple[int, int], ...]]]] = {4: [], 6: []}
        for rule in rules:
            for network in rule.networks:
                self._rows[network.version].append((_range(network), rule.ports))

    def holds(self, address: IpAddress, port: int) -> bool:
        number = int(address)
        return any(
            number & mask == network and (not ports or any(first <= port <= last for first, last in ports))
            for (network, mask), ports in self._rows[address.version]
        )
