"""What is said on the node's socket, pure: one line of JSON asks, one answers, in order.

{"do":"publish","name":"socks","port":1080,"open_to":["cluster:31ab…"]}
{"is":"published","address":"fd53:…","port":1080}
{"do":"connect","whom":"31ab…","service":"socks","policy":{"hops_at_least":2}}
{"is":"connected","node_id":"31ab…","address":"fd53:…","port":1080,"mtu":1340}
{"is":"refused","why":"node '31ab…' offers no service 'socks' to this node"}

What is published lives as long as the connection it was asked on. Times are seconds, ids hex, addresses text.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from services.keys import NodeId
from services.manager.routes.model import Kind
from services.manager.routes.policy import Policy

Protocol = Literal["tcp", "udp"]

MAX_LINE = 64 * 1024
MAX_ANSWER = 64 << 20
CLUSTER = "cluster:"
"""Before a manager's id, in `open_to`: all of whom it is the manager."""


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class _Answer(msgspec.Struct, frozen=True, tag_field="is"):
    pass


class _Words(msgspec.Struct, frozen=True):
    pass


# asked by anyone whom the socket's file lets in


class GetStatus(_Request, frozen=True, tag="status"):
    """Answered by `Status`."""


class GetLinks(_Request, frozen=True, tag="links"):
    """Answered by `Links`."""


class GetSessions(_Request, frozen=True, tag="sessions"):
    """Answered by `Sessions`."""


class GetRoutes(_Request, frozen=True, tag="routes"):
    """The routes this node is a hop of. Answered by `Routes`."""


class GetServices(_Request, frozen=True, tag="services"):
    """What is published here. Answered by `Services`."""


class GetMeter(_Request, frozen=True, tag="meter"):
    """Answered by `Metered`."""


class Publish(_Request, frozen=True, tag="publish"):
    """`open_to`: node ids and `cluster:<manager id>`; none means anyone. `labels`: words to be chosen by, such as
    `country=de`. Answered by `Published`.
    """

    name: str
    port: int
    open_to: tuple[str, ...] = ()
    protocol: Protocol = "tcp"
    labels: tuple[str, ...] = ()


class Connect(_Request, frozen=True, tag="connect"):
    """`whom`: a node id, or a name. Answered by `Connected`."""

    whom: str
    service: str
    policy: Policy = Policy()


class Close(_Request, frozen=True, tag="close"):
    """Ends the session. Answered by `Done`."""

    node_id: str


class Find(_Request, frozen=True, tag="find"):
    """Services in the mesh: all, of a name, of a node. Answered by `Services`."""

    name: str = ""
    node_id: str = ""


class Resolve(_Request, frozen=True, tag="resolve"):
    """`name` with or without `.sky`. Answered by `Resolved`."""

    name: str


class SetPet(_Request, frozen=True, tag="pet"):
    """A name of this node's own; no `node_id` takes it away. Answered by `Pets`."""

    name: str
    node_id: str = ""


class GetPets(_Request, frozen=True, tag="pets"):
    """Answered by `Pets`."""


# asked by the manager beside this node: root or the node's own user


class Member(_Request, frozen=True, tag="member"):
    """May have a session with the manager, from those underlay addresses; `renew` forgets its clock. Then `Done`."""

    node_id: str
    addresses: tuple[str, ...]
    renew: bool = False


class Unmember(_Request, frozen=True, tag="unmember"):
    """Answered by `Done`."""

    node_id: str


class ManagerPeer(_Request, frozen=True, tag="manager_peer"):
    """Another manager; `endpoint` is that of its session socket, `address:port`. Answered by `Done`."""

    node_id: str
    endpoint: str
    renew: bool = False


class GetSeen(_Request, frozen=True, tag="seen"):
    """Answered by `Seen`."""


Request = (
    GetStatus
    | GetLinks
    | GetSessions
    | GetRoutes
    | GetServices
    | GetMeter
    | Publish
    | Connect
    | Close
    | Find
    | Resolve
    | SetPet
    | GetPets
    | Member
    | Unmember
    | ManagerPeer
    | GetSeen
)
FOR_MANAGERS = (Member, Unmember, ManagerPeer, GetSeen)


# parts of answers


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
    node_id: NodeId
    name: str
    address: str
    port: int
    open_to: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


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


# answered


class Status(_Answer, frozen=True, tag="status"):
    """`summary` says in one line whether the mesh works, `works` in a word. `refused` are the firewall's counts, and
    `probes` that were none.
    """

    node_id: NodeId
    session_address: str
    version: str
    started_unix_s: int
    relays: bool
    works: bool
    summary: str
    is_connected: bool
    managers: tuple[ManagerState, ...]
    links: int
    links_up: int
    sessions: int
    routes: int
    services: int
    refused: dict[str, int]
    troubles: tuple[Trouble, ...] = ()


class Links(_Answer, frozen=True, tag="links"):
    links: tuple[LinkState, ...]


class Sessions(_Answer, frozen=True, tag="sessions"):
    sessions: tuple[SessionState, ...]


class Routes(_Answer, frozen=True, tag="routes"):
    routes: tuple[RouteState, ...]


class Services(_Answer, frozen=True, tag="services"):
    services: tuple[ServiceState, ...]


class Metered(_Answer, frozen=True, tag="metered"):
    hops: tuple[MeterRow, ...]
    ends: tuple[EndRow, ...]


class Published(_Answer, frozen=True, tag="published"):
    """Where to bind."""

    address: str
    port: int


class Connected(_Answer, frozen=True, tag="connected"):
    """Where to dial; `port` is 0 where nobody could say it."""

    node_id: NodeId
    address: str
    port: int
    mtu: int


class Resolved(_Answer, frozen=True, tag="resolved"):
    """`by` tells a name of this node's own from one that the manager vouches for."""

    name: str
    node_id: NodeId
    address: str
    by: Literal["pet", "vouched"]


class Pets(_Answer, frozen=True, tag="pets"):
    pets: tuple[Pet, ...]


class Seen(_Answer, frozen=True, tag="seen"):
    """By node id: where the link and the session sockets of others are seen from, `address:port`."""

    links: dict[str, str]
    sessions: dict[str, str]


class Done(_Answer, frozen=True, tag="done"):
    pass


class Refused(_Answer, frozen=True, tag="refused"):
    """`asked_wrongly` where the same question can never be answered."""

    why: str
    asked_wrongly: bool = False


Answer = (
    Status
    | Links
    | Sessions
    | Routes
    | Services
    | Metered
    | Published
    | Connected
    | Resolved
    | Pets
    | Seen
    | Done
    | Refused
)
