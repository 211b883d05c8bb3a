"""What is said on the manager's socket, pure: one line of JSON asks, one answers, in order.

{"do":"find","a":"31ab","b":"77c0","policy":{"hops_at_least":2}}
{"is":"found","routes":[{"nodes":["31ab…","9e01…","77c0…"],"latency_s":0.004,"mtu":1420}],"reason":""}
{"is":"refused","why":"'3' is the beginning of 4 node ids: give more digits"}

Where a node is named, its id, the unique beginning of it or a name will do; `names` in an answer tells those that the
managers vouch for, by node id. Times are seconds, ids hex.
"""

from __future__ import annotations

import msgspec

from services.keys import NodeId
from services.manager.peering.model import Stage
from services.manager.routes.model import Kind
from services.manager.routes.policy import Policy
from services.updates.api_words import GetUpdate, PutChunk, StartUpdate, SteerUpdate, Took, Update

MAX_LINE = 96 * 1024
"""Room for a chunk of a bundle, in base64."""
MAX_ANSWER = 64 << 20


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class _Answer(msgspec.Struct, frozen=True, tag_field="is"):
    pass


class _Words(msgspec.Struct, frozen=True):
    pass


class GetStatus(_Request, frozen=True, tag="status"):
    pass


class GetNodes(_Request, frozen=True, tag="nodes"):
    pass


class GetLinks(_Request, frozen=True, tag="links"):
    pass


class GetRoutes(_Request, frozen=True, tag="routes"):
    pass


class GetServices(_Request, frozen=True, tag="services"):
    pass


class GetNames(_Request, frozen=True, tag="names"):
    pass


class FindRoute(_Request, frozen=True, tag="find"):
    """Two routes from `a` to `b` as a session would get; nothing is laid. Answered by `FoundRoutes`."""

    a: str
    b: str
    policy: Policy = Policy()


class BuildRoute(_Request, frozen=True, tag="build"):
    """Through these nodes, by hand. Answered by `Built`."""

    nodes: tuple[str, ...]


class CloseRoute(_Request, frozen=True, tag="close"):
    """`route` may be the unique beginning of its id. Answered by `Done`."""

    route: str


class Admit(_Request, frozen=True, tag="admit"):
    """That node may join by name, also if it was expelled. Answered by `Done`."""

    node_id: str


class Expel(_Request, frozen=True, tag="expel"):
    """Answered by `Done` as soon as it is out here; everywhere else a moment later."""

    node_id: str
    reason: str = ""


class Invite(_Request, frozen=True, tag="invite"):
    """Answered by `Invited`."""

    lasts_s: int
    uses: int


class Pair(_Request, frozen=True, tag="pair"):
    """Whoever comes to this manager meanwhile is let in. Answered by `Done`."""

    lasts_s: int


class SetName(_Request, frozen=True, tag="name"):
    """The managers vouch for the name; without a node it is taken away. Answered by `Done`."""

    name: str
    node_id: str = ""


class Peer(_Request, frozen=True, tag="peer"):
    """Ask another cluster to peer, by the id of a manager of theirs; `at` is its join port. It waits for their
    operator; where they asked before, this accepts. `exports` are the services that their nodes may use, `NAME` or
    `NAME@NODE`; `relays`: whether nodes here carry those sessions, or the border alone; None of either is as
    manager.yaml says. `name` is what they are called here. Answered by `Done`.
    """

    manager_id: str
    at: str = ""
    exports: tuple[str, ...] | None = None
    relays: bool | None = None
    name: str = ""


class AnswerPeer(_Request, frozen=True, tag="answer_peer"):
    """To a cluster that asks; with `accept` to one that is peered, what is given is changed. Answered by `Done`."""

    manager_id: str
    accept: bool
    exports: tuple[str, ...] | None = None
    relays: bool | None = None
    name: str = ""


class Unpeer(_Request, frozen=True, tag="unpeer"):
    """Everything of theirs goes at once. `manager_id`, here and above: an id, its unique beginning, or the name.
    Answered by `Done`.
    """

    manager_id: str


class GetPeers(_Request, frozen=True, tag="peers"):
    """Answered by `Peers`."""


Request = (
    GetStatus
    | GetNodes
    | GetLinks
    | GetRoutes
    | GetServices
    | GetNames
    | FindRoute
    | BuildRoute
    | CloseRoute
    | Admit
    | Expel
    | Invite
    | Pair
    | SetName
    | Peer
    | AnswerPeer
    | Unpeer
    | GetPeers
    | PutChunk
    | StartUpdate
    | GetUpdate
    | SteerUpdate
)


class NodeRow(_Words, frozen=True):
    """`heard_s`: how long ago it reported its links; None is not at all. `name`: what the managers vouch for;
    `called`: what it calls itself.
    """

    node_id: NodeId
    name: str
    joined_from: str
    endpoints: tuple[str, ...]
    version: str
    relays: bool
    is_manager: bool
    links: int
    heard_s: float | None
    called: str = ""


class LinkRow(_Words, frozen=True):
    """`src`'s report; `is_up` where `dst` reports it up too."""

    src: NodeId
    dst: NodeId
    kind: Kind
    latency_s: float
    loss: float
    mtu: int
    is_up: bool


class RouteRow(_Words, frozen=True):
    route: str
    nodes: tuple[NodeId, ...]
    mtu: int


class ServiceRow(_Words, frozen=True):
    node_id: NodeId
    name: str
    port: int
    open_to: tuple[str, ...]


class FoundRow(_Words, frozen=True):
    nodes: tuple[NodeId, ...]
    latency_s: float
    price: float
    bandwidth_bps: int
    loss: float
    mtu: int


class NameRow(_Words, frozen=True):
    name: str
    node_id: NodeId


class PeerRow(_Words, frozen=True):
    """`stage`: asked by us, asks us, peered; refused or ended by them. `border`: the manager here that speaks with
    them. `works` where it did so just now, `heard_s` ago; else `why`. `exports` is what is theirs to use, `imports` the
    services of theirs as `NAME@NODE`; `routes` cross the border just now.
    """

    manager_id: NodeId
    name: str
    stage: Stage
    at: str
    since_unix_s: int
    exports: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    relays: bool = False
    border: str = ""
    works: bool = False
    heard_s: float | None = None
    routes: int = 0
    why: str = ""


class Status(_Answer, frozen=True, tag="status"):
    """`summary` is one line from real checks; `advice` what a person should do, each a sentence."""

    node_id: NodeId
    works: bool
    summary: str
    leads: bool
    leader: str
    managers: tuple[NodeId, ...]
    nodes: int
    links: int
    routes: int
    services: int
    expelled: int
    bus_rtt_s: float | None
    join_at: str
    admits: str
    advice: tuple[str, ...] = ()


class Nodes(_Answer, frozen=True, tag="nodes"):
    nodes: tuple[NodeRow, ...]


class Links(_Answer, frozen=True, tag="links"):
    links: tuple[LinkRow, ...]
    names: dict[str, str] = {}


class Routes(_Answer, frozen=True, tag="routes"):
    routes: tuple[RouteRow, ...]
    names: dict[str, str] = {}


class Services(_Answer, frozen=True, tag="services"):
    services: tuple[ServiceRow, ...]
    names: dict[str, str] = {}


class Names(_Answer, frozen=True, tag="names"):
    names: tuple[NameRow, ...]


class FoundRoutes(_Answer, frozen=True, tag="found"):
    """One or two; `reason` says why not two that share nothing."""

    routes: tuple[FoundRow, ...]
    reason: str = ""
    names: dict[str, str] = {}


class Built(_Answer, frozen=True, tag="built"):
    route: str
    nodes: tuple[NodeId, ...]
    mtu: int


class Peers(_Answer, frozen=True, tag="peers"):
    peers: tuple[PeerRow, ...]


class Invited(_Answer, frozen=True, tag="invited"):
    """`text` is all that a node needs: where to join, at whom, with what token."""

    text: str
    token: str
    at: str
    ends_unix_s: int
    uses: int


class Done(_Answer, frozen=True, tag="done"):
    pass


class Refused(_Answer, frozen=True, tag="refused"):
    why: str


Answer = (
    Status
    | Nodes
    | Links
    | Routes
    | Services
    | Names
    | FoundRoutes
    | Built
    | Peers
    | Invited
    | Took
    | Update
    | Done
    | Refused
)
