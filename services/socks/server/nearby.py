"""The networks that this machine's own interfaces are in: a home's neighbours, who by IPv6 have public addresses, too.

Read from /proc, since an application of the board may not open netlink.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

from services.socks.model import IpAddress
from services.socks.policy import Rule, Table

READ_EACH_S = 15.0
ADDRESSES6, ROUTES4 = Path("/proc/self/net/if_inet6"), Path("/proc/self/net/route")
SHORTEST4, LONGEST6 = 8, 64
"""Prefixes: a shorter one of IPv4 is a way, such as a half of the Internet through a tunnel. An IPv6 network has 64
bits, also where an address alone is given to the interface (DHCPv6).
"""
UP, GATEWAY, REJECT = 0x1, 0x2, 0x200

_NATIVE = struct.Struct("=I")


class Nearby:
    """Reads anew when asked after `READ_EACH_S`: so nothing is done while nobody asks."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._read_s = float("-inf")
        self._table = Table(())

    def holds(self, address: IpAddress) -> bool:
        now_s = self._now_s()
        if now_s - self._read_s >= READ_EACH_S:
            self._read_s = now_s
            networks: tuple[IPv4Network | IPv6Network, ...] = (
                *networks4(_read(ROUTES4)),
                *networks6(_read(ADDRESSES6)),
            )
            self._table = Table(Rule((network,)) for network in networks)
        return self._table.holds(address, 0)


def _read(path: Path) -> str:
    """Nothing where the kernel has no such protocol."""
    try:
        return path.read_text()
    except OSError:
        return ""


def networks4(text: str) -> Iterator[IPv4Network]:
    """Of /proc/net/route: those that are reached without a gateway."""
    for row in map(str.split, text.splitlines()[1:]):
        flags = int(row[3], 16)
        network = IPv4Network((_address4(row[1]), str(_address4(row[7]))), strict=False)
        if flags & UP and not flags & (GATEWAY | REJECT) and network.prefixlen >= SHORTEST4:
            yield network


def _address4(text: str) -> IPv4Address:
    """As the kernel writes it: the number that its four bytes are to this processor."""
    return IPv4Address(_NATIVE.pack(int(text, 16)))


def networks6(text: str) -> Iterator[IPv6Network]:
    """Of /proc/net/if_inet6."""
    for row in map(str.split, text.splitlines()):
        yield IPv6Network((bytes.fromhex(row[0]), min(int(row[2], 16), LONGEST6)), strict=False)
