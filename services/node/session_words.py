"""What this node keeps of a session, and what the kernel needs for it; pure.

A session's packets are accepted from the addresses of its ways alone: at the initiator from the one that is taken, at
the responder, who follows, from all that were agreed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network

import msgspec

from services.addresses import End, read_route_id, route_address, session_address
from services.kernel.model import SESSIONS, AllowedIp, Endpoint, Fact, Peer, Route, foreign, granted, outer
from services.keys import CurveKey, NodeId, session_key
from services.manager.routes.errors import PolicyError
from services.manager.routes.policy import Policy, combine
from services.node.config import read_endpoint
from services.node.errors import SessionError
from services.node.own import DIRECT_MTU
from services.node.paths import DIRECT

BLOCK = 16
ROUND_IT = 80
"""IPv6, UDP and WireGuard around a packet; WireGuard fills packets up to whole blocks, beyond a route's MTU too."""

_WAY, _ROUTE_BYTES = b"way:", 12

MANY = 8192

KEEPALIVE_S = 25
"""Of a direct way: it may lead through NAT."""


@lru_cache(maxsize=MANY)
def peer_key(node_id: NodeId) -> CurveKey:
    """`session_key`, computed once: all sessions are looked at each second. Raises NodeIdError."""
    return session_key(node_id)


class Way(msgspec.Struct, frozen=True):
    """A route, or the direct way to an endpoint. `mtu` is of the packets on a route's links."""

    route: str
    mtu: int
    nodes: tuple[NodeId, ...] = ()


class Session(msgspec.Struct, frozen=True):
    """`ways` are routes. `active` is the route taken, or `DIRECT`: by this node where it is the initiator, else by the
    other one as far as known. `direct`: endpoints of the other one, where both agreed on a direct way; the first is the
    one taken. `cluster`: the manager that vouches for the other one's membership. `border`: the
    other cluster's manager, where it is of one; then the other may use what is `granted`, and nothing else here.
    """

    node_id: NodeId
    is_initiator: bool
    session_port: int
    ways: tuple[Way, ...]
    active: str
    opened_unix_s: int
    policy: Policy = Policy()
    services: tuple[str, ...] = ()
    direct: tuple[str, ...] = ()
    cluster: str = ""
    switches: int = 0
    border: str = ""
    granted: tuple[str, ...] = ()

    @property
    def owner(self) -> str:
        return f"session:{self.node_id}"

    @property
    def routes(self) -> tuple[str, ...]:
        return tuple(way.route for way in self.ways)

    @property
    def mtu(self) -> int:
        """Of the packets inside."""
        if self.active == DIRECT or not self.ways:
            return DIRECT_MTU
        return min(inner_mtu(way.mtu) for way in self.ways)

    def far(self, route: str) -> IPv6Address:
        """The other end's address of the route."""
        return route_address(read_route_id(route), End.RESPONDER if self.is_initiator else End.INITIATOR)

    def near(self, route: str) -> IPv6Address:
        return route_address(read_route_id(route), End.INITIATOR if self.is_initiator else End.RESPONDER)


def inner_mtu(path_mtu: int) -> int:
    return (path_mtu - ROUND_IT) // BLOCK * BLOCK


def way_note(route: str) -> bytes:
    """Tells the responder which way is taken: sent inside, with each switch."""
    return _WAY + bytes.fromhex(route)


def read_way_note(note: bytes) -> str | None:
    """None for what says nothing of ways."""
    if not note.startswith(_WAY):
        return None
    route = note[len(_WAY) :][:_ROUTE_BYTES]
    return route.hex() if any(route) else DIRECT


def combined(session: Session, policy: Policy) -> Policy:
    """The session's and another. Raises SessionError where they exclude each other."""
    try:
        return combine(session.policy, policy)
    except PolicyError as error:
        raise SessionError(f"there is a session with node '{session.node_id}': {error}") from None


def told(policy: Policy) -> str:
    return msgspec.json.encode(policy).decode()


def session_facts(me: NodeId, session: Session, probe_port: int) -> list[Fact]:
    key, there = peer_key(session.node_id), session_address(session.node_id)
    return [
        Peer(SESSIONS, key, _endpoint(session), _keepalive_s(session)),
        AllowedIp(SESSIONS, IPv6Network(there), key),
        Route(IPv6Network(there), SESSIONS, source=session_address(me), mtu=session.mtu),
        granted(there, "udp", probe_port),
        *([foreign(there)] if session.border else []),
        *_outers(session),
    ]


def _endpoint(session: Session) -> Endpoint | None:
    """None at the responder: the peer is where it was last heard."""
    if not session.is_initiator:
        return None
    if session.active == DIRECT:
        return read_endpoint(session.direct[0])
    return Endpoint(session.far(session.active), session.session_port)


def _keepalive_s(session: Session) -> int:
    return KEEPALIVE_S if session.is_initiator and session.active == DIRECT else 0


def _outers(session: Session) -> Iterator[Fact]:
    if not session.is_initiator:
        yield from (outer(session.far(route)) for route in session.routes)
        yield from (outer(address) for address in {read_endpoint(text).address for text in session.direct})
    elif session.active == DIRECT:
        yield outer(read_endpoint(session.direct[0]).address)
    else:
        yield outer(session.far(session.active))
