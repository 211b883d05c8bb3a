"""The parts of the node's answers: how its links, sessions, routes and services are. Pure words; times are seconds, ids
hex, addresses text.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from services.keys import NodeId
from services.manager.routes.model import Kind
from services.manager.routes.policy import Policy


class _Words(msgspec.Struct, frozen=True):
    pass


class ManagerState(_Words, frozen=True):
    """`at` is its join address; `node_id` is empty until it has answered once."""

    at: str
    node_id: str
    is_connected: bool


class Trouble(_Words, frozen=True):
    """Something that somebody did wrongly, how often, and when last (Unix time)."""

    what: str
    count: int
    last_unix_s: int


class LinkState(_Words, frozen=True):
    """`endpoint` is where packets to it go on the underlay, or empty; `address` its link address; `why` says what keeps
    the link down.
    """

    node_id: NodeId
    kind: Kind
    device: str
    address: str
    endpoint: str
    is_up: bool
    latency_s: float
    loss: float
    mtu: int
    why: str = ""


class RouteState(_Words, frozen=True):
    """A label: the neighbour towards each end, None where this node is that end. `mtu` is the packets' on its links;
    `idle_s` how long nothing has passed.
    """

    route: str
    initiator_side: NodeId | None
    responder_side: NodeId | None
    mtu: int
    idle_s: float


class PathState(_Words, frozen=True):
    """A way of a session: `route` is empty for the direct one; `nodes` from end to end, as the manager told them."""

    route: str
    nodes: tuple[NodeId, ...]
    address: str
    is_active: bool
    is_up: bool
    latency_s: float
    loss: float
    mtu: int


class SessionState(_Words, frozen=True):
    """`received` and `sent` are WireGuard's own figures, in bytes; `handshake_s` the last one's Unix time, or 0."""

    node_id: NodeId
    address: str
    is_initiator: bool
    services: tuple[str, ...]
    policy: Policy
    paths: tuple[PathState, ...]
    mtu: int
    switches: int
    opened_unix_s: int
    handshake_s: int = 0
    received: int = 0
    sent: int = 0


class ServiceState(_Words, frozen=True):
    """`cluster`: the manager of the other cluster whose node it is, or empty."""

    node_id: NodeId
    name: str
    address: str
    port: int
    open_to: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    cluster: str = ""


class MeterRow(_Words, frozen=True):
    """What this hop forwarded of a route towards one end; `payload` is that of the outer packets: bytes - 48 each."""

    route: str
    device: str
    towards: Literal["initiator", "responder"]
    packets: int
    bytes: int
    payload: int


class EndRow(_Words, frozen=True):
    """What WireGuard counted for a session whose end is here, over all its ways."""

    node_id: NodeId
    routes: tuple[str, ...]
    received: int
    sent: int


class Pet(_Words, frozen=True):
    name: str
    node_id: NodeId
    address: str
