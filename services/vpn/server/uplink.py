"""The door to this machine's ways out: which interfaces have a default route, the networks it is in, its resolvers; and
word from the kernel that some of it may have changed. Nothing is set here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from services.kernel.errors import DoorError
from services.kernel.model import is_ours
from services.node.underlay import own_addresses
from services.vpn.words import IpAddress, IpNetwork, is_unicast

ROUTES4, ROUTES6 = Path("/proc/net/route"), Path("/proc/net/ipv6_route")
RESOLVERS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
"""The first tells where systemd-resolved asks; the second then names only this machine."""

UP, REJECT = 0x1, 0x200
NOWHERE4, NOWHERE6 = "00000000", "0" * 32
LINKS, ADDRESSES4, ROUTES_4, ADDRESSES6, ROUTES_6 = 0x1, 0x10, 0x40, 0x100, 0x400  # groups of rtnetlink
SMALLEST_LAN = 8


@dataclass(frozen=True, slots=True)
class Uplink:
    """`devices`: interfaces with a default route, by version. `networks` are those that this machine is in."""

    devices4: tuple[str, ...] = ()
    devices6: tuple[str, ...] = ()
    networks: tuple[IpNetwork, ...] = ()
    resolvers: tuple[IpAddress, ...] = ()

    @property
    def told(self) -> str:
        return ", ".join(dict.fromkeys((*self.devices4, *self.devices6)))


def read_uplink() -> Uplink:
    """Raises DoorError."""
    own = own_addresses()
    networks = dict.fromkeys(one.network for one in own if one.network.prefixlen >= SMALLEST_LAN)
    try:
        devices4 = default_devices4(ROUTES4.read_text())
        devices6 = default_devices6(ROUTES6.read_text()) if ROUTES6.exists() else ()
    except OSError as error:
        raise DoorError(f"cannot read the routes: {error.strerror}") from None
    here = {one.ip for one in own}
    found = [address for address in _resolvers() if address not in here]
    usable = tuple(one for one in found if one.version == 4 or devices6)
    return Uplink(devices4, devices6, tuple(networks), usable)


def default_devices4(text: str) -> tuple[str, ...]:
    """Of /proc/net/route."""
    rows = [row for row in map(str.split, text.splitlines()[1:]) if len(row) >= 8]
    return _foreign(row[0] for row in rows if row[1] == row[7] == NOWHERE4 and _is_up(row[3]))


def default_devices6(text: str) -> tuple[str, ...]:
    """Of /proc/net/ipv6_route."""
    rows = [row for row in map(str.split, text.splitlines()) if len(row) >= 10]
    return _foreign(row[9] for row in rows if (row[0], row[1]) == (NOWHERE6, "00") and _is_up(row[8]))


def resolvers_of(text: str) -> list[IpAddress]:
    """Of a resolv.conf: those that a client can be led to."""
    found = []
    for line in text.splitlines():
        name, _, rest = line.strip().partition(" ")
        with contextlib.suppress(ValueError):
            if name == "nameserver" and is_unicast(address := ip_address(rest.strip().partition("%")[0])):
                found.append(address)
    return found


def _resolvers() -> Iterator[IpAddress]:
    for path in RESOLVERS:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if found := resolvers_of(path.read_text()):
                yield from found
                return


def _is_up(flags: str) -> bool:
    return bool(int(flags, 16) & UP) and not int(flags, 16) & REJECT


def _foreign(devices: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in devices if not is_ours(name) and name != "lo"}))


class Changes:
    """Tells that interfaces, addresses or routes changed, of whatever kind."""

    def __init__(self) -> None:
        self.happened = asyncio.Event()
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, LINKS | ADDRESSES4 | ROUTES_4 | ADDRESSES6 | ROUTES_6))
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        """What it says is not looked at: a lost message (ENOBUFS) is news as well."""
        with contextlib.suppress(OSError):
            while self._socket.recv(65536):
                pass
        self.happened.set()
