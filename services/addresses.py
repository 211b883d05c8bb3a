"""The three address ranges of the mesh, byte for byte. Pure; keys come from `services.keys`.

    link     fd4c | 14 bytes: BLAKE2b of the 32-byte link key, personalised "skywire fd4c"
    route    fd52 | 12 bytes: the random route id | 0001 for the initiator, 0002 for the responder
    session  fd53 | 14 bytes: BLAKE2b of the 32 bytes behind the node id, personalised "skywire fd53"

BLAKE2b is asked for a digest of 14 bytes (not a longer one cut off), without key or salt. An address stands for its
key: whoever is handed both calls `check_…`, which computes it anew.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from enum import IntEnum
from ipaddress import AddressValueError, IPv6Address, IPv6Network
from typing import NewType

from services.errors import AddressError, shown
from services.keys import CurveKey, NodeId, key_bytes, wireguard_text

LINKS = IPv6Network("fd4c::/16")
ROUTES = IPv6Network("fd52::/16")
SESSIONS = IPv6Network("fd53::/16")

RouteId = NewType("RouteId", bytes)
"""96 random bits that name a route; `.hex()` is its text."""

_HASH_BYTES = 14
_ROUTE_BYTES = 12
_ROUTE_ID = re.compile(r"[0-9a-f]{24}")
_KINDS = {LINKS: "link", ROUTES: "route", SESSIONS: "session"}


class End(IntEnum):
    """Which end of a route an address is; the number is the address's last 16 bits."""

    INITIATOR = 1
    RESPONDER = 2


# from keys


def link_address(link_key: CurveKey) -> IPv6Address:
    if len(link_key) != 32:
        raise AddressError(f"a link key has 32 bytes, this one {len(link_key)}")
    return _hashed(LINKS, link_key)


def session_address(node_id: NodeId) -> IPv6Address:
    """Raises NodeIdError."""
    return _hashed(SESSIONS, key_bytes(node_id))


def check_link(link_key: CurveKey, address: IPv6Address) -> None:
    """Raises AddressError unless it is the address of that link key."""
    _refuse_other(f"link key '{wireguard_text(link_key)}'", link_address(link_key), address)


def check_session(node_id: NodeId, address: IPv6Address) -> None:
    """Raises AddressError unless it is the address of that node; NodeIdError for no node id."""
    _refuse_other(f"node '{node_id}'", session_address(node_id), address)


def _refuse_other(owner: str, right: IPv6Address, address: IPv6Address) -> None:
    if address != right:
        raise AddressError(
            f"'{address}' is not the address of {owner}: that is '{right}' (ask again, or trust neither)"
        )


def _hashed(network: IPv6Network, key: bytes) -> IPv6Address:
    prefix = network.network_address.packed[:2]
    return IPv6Address(
        prefix + hashlib.blake2b(key, digest_size=_HASH_BYTES, person=b"skywire " + prefix.hex().encode()).digest()
    )


# routes


def new_route_id() -> RouteId:
    return RouteId(secrets.token_bytes(_ROUTE_BYTES))


def read_route_id(text: str) -> RouteId:
    """Raises AddressError."""
    if not _ROUTE_ID.fullmatch(text):
        raise AddressError(f"{shown(text)} is not a route id: expected 24 digits of 0-9 a-f")
    return RouteId(bytes.fromhex(text))


def route_address(route: RouteId, end: End) -> IPv6Address:
    if len(route) != _ROUTE_BYTES:
        raise AddressError(f"a route id has {_ROUTE_BYTES} bytes, this one {len(route)}")
    return IPv6Address(ROUTES.network_address.packed[:2] + route + end.to_bytes(2, "big"))


def read_route(address: IPv6Address) -> tuple[RouteId, End]:
    """Whose and which end's it is. Raises AddressError."""
    packed = _in(ROUTES, address).packed
    number = int.from_bytes(packed[-2:], "big")
    if number not in tuple(End):
        raise AddressError(f"'{address}' is not a route address: it ends in {number:x}, expected 1 or 2")
    return RouteId(packed[2:-2]), End(number)


# text


def read_address(text: str, network: IPv6Network) -> IPv6Address:
    """An address of one of the three ranges. Raises AddressError."""
    try:
        return _in(network, IPv6Address(text))
    except AddressValueError:
        raise AddressError(f"{shown(text)} is not an IPv6 address") from None


def _in(network: IPv6Network, address: IPv6Address) -> IPv6Address:
    if address.scope_id is not None or address not in network:
        raise AddressError(f"'{address}' is not a {_KINDS[network]} address: those lie in {network}")
    return address
