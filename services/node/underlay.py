"""This machine's own addresses on the networks beneath the mesh, asked of the kernel by netlink."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from services.kernel.errors import DoorError
from services.kernel.messages import NetlinkSocket, attributes
from services.kernel.model import LINK_RANGE, ROUTE_RANGE, SESSION_RANGE, Endpoint, IpNetwork, is_ours

IpInterface = IPv4Interface | IPv6Interface

ROUTING, GET_ADDRESSES = 0, 22
ADDRESS, LOCAL, FLAGS = 1, 2, 8
UNUSABLE = 0x01 | 0x08 | 0x20 | 0x40  # temporary, failed detection, deprecated, still being detected
EVERYWHERE, ON_LINK = 0, 253

_message = struct.Struct("=BBBBI")  # ifaddrmsg


def own_addresses() -> list[IpInterface]:
    """All that other machines may reach, but those of the mesh itself, the best first: IPv4's link-local ones, which
    end where the cable does (RFC 3927), are the last. IPv6's need an interface beside them, so none is among these.
    Raises DoorError.
    """
    end = NetlinkSocket(ROUTING)
    try:
        bodies = end.dump(GET_ADDRESSES, _message.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
        return sorted(_read(bodies), key=_rank)
    except OSError as error:
        raise DoorError(f"cannot list this machine's addresses: {error.strerror}") from error
    finally:
        end.close()


def _rank(found: IpInterface) -> tuple[bool, int, bool, bytes]:
    return found.ip.is_link_local, found.version, not found.is_global, found.ip.packed


def _read(bodies: Iterable[bytes]) -> Iterator[IpInterface]:
    for body in bodies:
        _, prefix, flags, scope, index = _message.unpack_from(body)
        found = {kind: bytes(value) for kind, value in attributes(body, _message.size)}
        packed = found.get(LOCAL, found.get(ADDRESS))
        if FLAGS in found:
            flags = int.from_bytes(found[FLAGS], "little" if struct.pack("=H", 1)[0] else "big")
        if packed is None or flags & UNUSABLE or _is_ours(index):
            continue
        interface = ip_interface((packed, prefix))
        if scope != EVERYWHERE and not (scope == ON_LINK and interface.version == 4 and interface.ip.is_link_local):
            continue
        if not any(interface.ip in network for network in (LINK_RANGE, ROUTE_RANGE, SESSION_RANGE)):
            yield interface


def _is_ours(index: int) -> bool:
    try:
        return is_ours(socket.if_indextoname(index))
    except OSError:
        return True  # gone meanwhile


def usable(addresses: Iterable[IpInterface], networks: tuple[IpNetwork, ...]) -> list[IpInterface]:
    """Those within the networks; with none given, all."""
    return [found for found in addresses if is_within(found.ip, networks)]


def is_within(address: object, networks: tuple[IpNetwork, ...]) -> bool:
    return not networks or any(address in network for network in networks)


def write_endpoint(endpoint: Endpoint) -> str:
    host = f"[{endpoint.address}]" if endpoint.address.version == 6 else str(endpoint.address)
    return f"{host}:{endpoint.port}"
