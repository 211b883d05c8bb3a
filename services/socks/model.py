"""The words of SOCKS: commands, replies and places, by RFC 1928."""

from __future__ import annotations

import errno
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

IpAddress = IPv4Address | IPv6Address
Host = IPv4Address | IPv6Address | str
"""A text is a name to be resolved, as it was sent: ASCII, printable, without blanks."""


class Command(IntEnum):
    CONNECT = 1
    BIND = 2
    UDP_ASSOCIATE = 3


class Reply(IntEnum):
    """What REP says; a time-out is told as TTL expired, as other servers do, since nothing else fits."""

    SUCCEEDED = 0
    FAILED = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    REFUSED = 5
    TIMED_OUT = 6
    COMMAND_UNSUPPORTED = 7
    ADDRESS_UNSUPPORTED = 8


REPLIES = {
    errno.ECONNREFUSED: Reply.REFUSED,
    errno.ENETUNREACH: Reply.NETWORK_UNREACHABLE,
    errno.EADDRNOTAVAIL: Reply.NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: Reply.HOST_UNREACHABLE,
    errno.EHOSTDOWN: Reply.HOST_UNREACHABLE,
    errno.ETIMEDOUT: Reply.TIMED_OUT,
    errno.EACCES: Reply.NOT_ALLOWED,
    errno.EPERM: Reply.NOT_ALLOWED,
}
"""By the number of the error a connection attempt ended with; any other is FAILED."""


class Place(NamedTuple):
    host: Host
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if isinstance(self.host, IPv6Address) else f"{self.host}:{self.port}"


NOWHERE = Place(IPv4Address(0), 0)


class Request(NamedTuple):
    command: Command
    place: Place


class Credentials(NamedTuple):
    name: bytes
    password: bytes


def read_host(name: bytes) -> Host | None:
    """A name or an address written as one; None where nobody can have that name."""
    try:
        text = name.decode("ascii")
    except UnicodeDecodeError:
        return None
    if not text or len(text) > 255 or not text.isprintable() or " " in text:
        return None
    if "%" in text:  # a scope is a matter of somebody else's machine
        return None
    if text[-1].isdigit() or ":" in text:
        try:
            return plain(ip_address(text))
        except ValueError:
            pass
    return text


def plain(address: IpAddress) -> IpAddress:
    """The one spelling of an address: IPv4 that is written as IPv6 is IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
