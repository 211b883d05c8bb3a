"""A place as SOCKS writes it: ATYP, address, port (RFC 1928, sections 4 and 7). Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from services.socks.errors import WireError
from services.socks.model import Host, Place, plain, read_host

IPV4, NAME, IPV6 = 1, 3, 4
_LENGTHS = {IPV4: 4, IPV6: 16}


class KindError(WireError):
    """An ATYP that nobody knows."""


def encode_place(place: Place) -> bytes:
    host, port = place
    if isinstance(host, IPv4Address):
        return b"\x01" + host.packed + port.to_bytes(2, "big")
    if isinstance(host, IPv6Address):
        return b"\x04" + host.packed + port.to_bytes(2, "big")
    name = host.encode("ascii")
    return bytes((NAME, len(name))) + name + port.to_bytes(2, "big")


def read_place(data: bytes | bytearray, start: int) -> tuple[Place, int] | None:
    """The place that begins at `start`, its address in plain spelling, and where it ends; None where more is needed.

    Raises WireError, KindError.
    """
    if len(data) < start + 2:
        return None
    kind = data[start]
    begin = start + 1
    if kind == NAME:
        begin += 1
        length = data[start + 1]
    elif kind in _LENGTHS:
        length = _LENGTHS[kind]
    else:
        raise KindError(f"address type {kind} is none of 1 (IPv4), 3 (name), 4 (IPv6)")
    end = begin + length
    if len(data) < end + 2:
        return None
    return Place(_host(kind, bytes(data[begin:end])), int.from_bytes(data[end : end + 2], "big")), end + 2


def _host(kind: int, data: bytes) -> Host:
    if kind == IPV4:
        return IPv4Address(data)
    if kind == IPV6:
        return plain(IPv6Address(data))
    host = read_host(data)
    if host is None:
        raise WireError(f"{data[:80]!r} is no name of a host")
    return host
