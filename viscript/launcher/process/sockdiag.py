"""What the kernel knows of the socket at the other end of a TCP connection on this host: its user and its
control group.

One sock_diag request for exactly one socket; no privilege needed, no scan of descriptors, and a double fork
does not leave its unit. The group's id (INET_DIAG_CGROUP_ID, Linux 5.7 and later) is the inode of its
directory.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from viscript.signal.model import Peer

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
NLMSG_ERROR = 2
INET_DIAG_CGROUP_ID = 21
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI")
_ATTRIBUTE = struct.Struct("=HH")
_MESSAGE_SIZE = 72
_USER = struct.Struct("=I")
_USER_AT = 64
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF
_DEADLINE_S = 2.0


class SocketOwner(msgspec.Struct, frozen=True):
    """The user who made the socket, and the id of the control group it was made in, if the kernel tells it."""

    uid: int
    group: int | None = None


def read_socket(peer: Peer) -> SocketOwner | None:
    """Who owns the peer's socket; None when the kernel knows no such socket. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(_DEADLINE_S)
        netlink.sendto(make_request(peer), (0, 0))
        return parse_reply(netlink.recv(8192))


def make_request(peer: Peer) -> bytes:
    """The look-up of one connection as seen from the peer's side: its own address is the source."""
    source, destination = ipaddress.ip_address(peer.host), ipaddress.ip_address(peer.server_host)
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    identity = b"".join(
        (
            struct.pack(">HH", peer.port, peer.server_port),
            source.packed.ljust(16, b"\0"),
            destination.packed.ljust(16, b"\0"),
            struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE),
        )
    )
    body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ALL_STATES) + identity
    return _HEADER.pack(_HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0) + body


def parse_reply(data: bytes) -> SocketOwner | None:
    """The owner in a sock_diag answer; None when it says that there is no such socket. Raises OSError."""
    size, kind, _, _, _ = _HEADER.unpack_from(data)
    if kind == NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", data, _HEADER.size)
        if code in {-2, 0}:
            return None
        raise OSError(-code, os.strerror(-code))
    if len(data) < _HEADER.size + _MESSAGE_SIZE:
        raise OSError("the kernel's answer about a socket is cut short")
    (uid,) = _USER.unpack_from(data, _HEADER.size + _USER_AT)
    return SocketOwner(uid, _find_group(data[_HEADER.size + _MESSAGE_SIZE : size]))


def _find_group(attributes: bytes) -> int | None:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(attributes):
        length, name = _ATTRIBUTE.unpack_from(attributes, offset)
        if length < _ATTRIBUTE.size:
            break
        if name == INET_DIAG_CGROUP_ID:
            (group,) = struct.unpack_from("=Q", attributes, offset + _ATTRIBUTE.size)
            return int(group)
        offset += (length + 3) & ~3
    return None
