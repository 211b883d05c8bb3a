"""Whose is a TCP connection on this host? Asks the kernel for the control group of the socket at its other
end.

One sock_diag request for exactly one socket (INET_DIAG_CGROUP_ID, Linux 5.7 and later); no privilege
needed, no scan of descriptors, and a double fork does not leave its unit. The id is the inode of the
group's directory.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from viscript.signal.model import Peer

log = logging.getLogger(__name__)

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
NLMSG_ERROR = 2
INET_DIAG_CGROUP_ID = 21
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI")
_ATTRIBUTE = struct.Struct("=HH")
_MESSAGE_SIZE = 72
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF
_DEADLINE_S = 2.0


def is_in(peer: Peer, group: Path) -> bool:
    """Whether the peer's socket was made inside the control group with that directory."""
    try:
        found = read_socket_cgroup(peer)
        return found is not None and found == group.stat().st_ino
    except OSError as error:
        log.warning("cannot tell the owner of %s: %s", peer, error)
        return False


def read_socket_cgroup(peer: Peer) -> int | None:
    """The id of the group the peer's socket belongs to; None when the kernel knows no such socket. Raises
    OSError.
    """
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


def parse_reply(data: bytes) -> int | None:
    """The group's id in a sock_diag answer; None when it has none or says that there is no such socket."""
    size, kind, _, _, _ = _HEADER.unpack_from(data)
    if kind == NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", data, _HEADER.size)
        if code in {-2, 0}:
            return None
        raise OSError(-code, os.strerror(-code))
    offset = _HEADER.size + _MESSAGE_SIZE
    while offset + _ATTRIBUTE.size <= min(size, len(data)):
        length, name = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        if name == INET_DIAG_CGROUP_ID:
            (group,) = struct.unpack_from("=Q", data, offset + _ATTRIBUTE.size)
            return int(group)
        offset += (length + 3) & ~3
    return None
