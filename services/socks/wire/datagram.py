"""The head of each datagram of a UDP association (RFC 1928, section 7): RSV RSV FRAG ATYP address port. Pure.

Fragments are refused, as the RFC allows: they must then be dropped.
"""

from __future__ import annotations

from services.socks.errors import WireError
from services.socks.model import Place
from services.socks.wire.places import encode_place, read_place


def read_datagram(data: bytes) -> tuple[Place, int]:
    """Where to, and where the payload begins. Raises WireError."""
    if len(data) < 4:
        raise WireError(f"a datagram of {len(data)} bytes has no head")
    if data[2] != 0:
        raise WireError(f"fragment {data[2]}: fragments are not put together here")
    found = read_place(data, 3)
    if found is None:
        raise WireError("the head of a datagram is cut off")
    return found


def encode_head(place: Place) -> bytes:
    return b"\0\0\0" + encode_place(place)
