"""What is said on the node's socket, pure: one line of JSON asks, one answers, in order.

{"do":"publish","name":"socks","port":1080,"open_to":["cluster:31ab…"]}
{"is":"published","address":"fd53:…","port":1080}
{"do":"connect","whom":"31ab…","service":"socks","policy":{"hops_at_least":2}}
{"is":"connected","node_id":"31ab…","address":"fd53:…","port":1080,"mtu":1340}
{"is":"refused","why":"node '31ab…' offers no service 'socks' to this node"}

{"do":"carry","node_id":"31ab…","networks":["0.0.0.0/0","::/0"]}
{"is":"carried","device":"sky0","mtu":1328,"fwmark":81}

What is published or carried lives as long as the connection it was asked on. Times are seconds, ids hex.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from services.keys import NodeId
from services.manager.routes.policy import Policy
from services.node.api_states import (
    EndRow,
    LinkState,
    ManagerState,
    MeterRow,
    PathState,
    Pet,
    RouteState,
    ServiceState,
    SessionState,
    Trouble,
)

__all__ = [
    "EndRow",
    "LinkState",
    "ManagerState",
    "MeterRow",
    "PathState",
    "Pet",
    "RouteState",
    "ServiceState",
    "SessionState",
    "Trouble",
]
"""Those of others that are to be had here too."""

Protocol = Literal["tcp", "udp"]

MAX_LINE = 64 * 1024
MAX_ANSWER = 64 << 20
CLUSTER = "cluster:"
"""Before a manager's id, in `open_to`: all of whom it is the manager."""


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class _Answer(msgspec.Struct, frozen=True, tag_field="is"):
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


# asked by programs that are named in node.yaml, root, or the node's own user


class Carry(_Request, frozen=True, tag="carry"):
    """Packets of `networks` may pass between this machine and that node, beyond the mesh's own: as sources of what it
    sends, and as destinations of what goes there by a route to `sky0`, which the asker makes. Answered by `Carried`.

    `forwards`: this machine is the way out for these addresses, single ones (/32, /128), as far as the asker's own
    nftables table, before priority 0, marks their packets with `rules.EXIT_MARK`. `gateways`: interfaces whose
    packets may be forwarded into the sessions. It needs an open session, and comes back with it when the session ends
    and is opened anew. It lives as long as the connection, and `lingers_s` (at most 60) more, for who asks it again.
    """

    node_id: str
    networks: tuple[str, ...]
    forwards: bool = False
    gateways: tuple[str, ...] = ()
    lingers_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.0


class Uncarry(_Request, frozen=True, tag="uncarry"):
    """Ends at once what was asked on this connection with the same node and networks. Answered by `Done`."""

    node_id: str
    networks: tuple[str, ...]


class Vouch(_Request, frozen=True, tag="vouch"):
    """This node's identity signs that the key is its own for that purpose. `key`: 1 to 256 bytes, in base64. Answered
    by `Vouched`.
    """

    purpose: str
    key: bytes


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


class Border(_Request, frozen=True, tag="border"):
    """The manager of another cluster, which may speak with the one here; it is no member. `endpoint` is that of its
    session socket, or empty. Answered by `Done`.
    """

    node_id: str
    addresses: tuple[str, ...]
    endpoint: str = ""
    renew: bool = False


class GetSeen(_Request, frozen=True, tag="seen"):
    """Answered by `Seen`."""


class Outside(_Request, frozen=True, tag="outside"):
    """On a board, these ports (`tcp/7997`) are reached from outside the mesh too, as long as the connection lives.
    Answered by `Done`.
    """

    ports: tuple[str, ...]


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
    | Carry
    | Uncarry
    | Vouch
    | Member
    | Border
    | Unmember
    | ManagerPeer
    | GetSeen
    | Outside
)
FOR_MANAGERS = (Member, Unmember, ManagerPeer, Border, GetSeen, Outside)

Held = Publish | Carry | Outside
"""What lives as long as the connection that it was asked on."""


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


class Carried(_Answer, frozen=True, tag="carried"):
    """`mtu` is of the packets in the session as it is now; `fwmark` that of the mesh's own packets on the underlay."""

    device: str
    mtu: int
    fwmark: int


class Vouched(_Answer, frozen=True, tag="vouched"):
    """Read by `vouching.read_vouched`."""

    signed: bytes


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
    | Carried
    | Vouched
    | Resolved
    | Pets
    | Seen
    | Done
    | Refused
)
