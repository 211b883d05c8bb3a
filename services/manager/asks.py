"""What a node asks of its manager and what a manager orders of a node: the words on the bus, pure.

    up.<id>.ask        Ask → Answer, both JSON; the bus says who asks
    down.<id>.<kind>   an Order (`signed`) of that kind → Reply; for `challenge` it carries the challenge

A session opens in two questions. The initiator draws the route ids and begins; the manager finds the routes and gets a
challenge from the responder. The initiator signs what it was told and opens; the manager gives every hop its labels in
parallel and hands the signed request to the responder, who checks the signature, the challenge and its access list by
itself. Any refusal undoes the rest.
"""

from __future__ import annotations

import msgspec

from services.keys import NodeId
from services.manager.routes.policy import Policy
from services.updates.model import BoardState

SESSION_REQUEST = "skywire session request"
"""The purpose of an initiator's signature over a SessionRequest (`signed.sign`)."""

CHALLENGE_BYTES = 32
MAX_ROUTES = 2


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Tagged(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is"):
    pass


# asked by nodes


class Begin(_Tagged, frozen=True, tag="begin"):
    """`routes` are fresh route ids in hex, as many as are wanted. `beside`: the nodes of a route that stays, for a new
    standby that shares nothing with it."""

    responder: NodeId
    service: str
    routes: tuple[str, ...]
    policy: Policy = Policy()
    beside: tuple[NodeId, ...] = ()


class Open(_Tagged, frozen=True, tag="open"):
    """`request` is a signed SessionRequest."""

    request: bytes


class Close(_Tagged, frozen=True, tag="close"):
    """Routes that the asking initiator needs no longer."""

    routes: tuple[str, ...]


class Find(_Tagged, frozen=True, tag="find"):
    """Services: all, of a name, of a node."""

    name: str = ""
    node_id: str = ""


class Name(_Tagged, frozen=True, tag="name"):
    """Whom the manager vouches for under that name."""

    name: str


class Renew(_Tagged, frozen=True, tag="renew"):
    """Another token for the bus, before the present one runs out."""


class Labels(_Tagged, frozen=True, tag="labels"):
    """Everything this node should hold, ordered anew."""


class Ping(_Tagged, frozen=True, tag="ping"):
    pass


class Board(_Tagged, frozen=True, tag="board"):
    """What this node's board runs, and how far an update is that it was ordered to install."""

    state: BoardState


Ask = Begin | Open | Close | Find | Name | Renew | Labels | Ping | Board


# answered by managers


class Path(_Words, frozen=True):
    """A route that was found: nodes from initiator to responder; `mtu` is of the packets on its links."""

    route: str
    nodes: tuple[NodeId, ...]
    mtu: int
    latency_s: float


class Begun(_Tagged, frozen=True, tag="begun"):
    """`direct`: underlay endpoints of the responder's session socket, where the policy permits a session without
    relays; `seen`: the asker's own, as the manager sees it. `session_port` is the responder's. `cluster`: the manager
    of another cluster, where the responder is one of theirs.
    """

    challenge: bytes
    paths: tuple[Path, ...]
    direct: tuple[str, ...] = ()
    reason: str = ""
    session_port: int = 51821
    seen: str = ""
    cluster: str = ""


class Opened(_Tagged, frozen=True, tag="opened"):
    """Every hop and both ends hold the labels."""


class Found(_Tagged, frozen=True, tag="found"):
    """Services as their nodes signed them (`offer.read_service`). `clusters`: of nodes of other clusters, which."""

    services: tuple[bytes, ...]
    clusters: dict[str, NodeId] = {}


class Named(_Tagged, frozen=True, tag="named"):
    node_id: NodeId | None


class Token(_Tagged, frozen=True, tag="token"):
    token: str


class Done(_Tagged, frozen=True, tag="done"):
    pass


class Refused(_Tagged, frozen=True, tag="refused"):
    """`again`: a node did not answer just now, so it may help to ask again."""

    why: str
    again: bool = False


Answer = Begun | Opened | Found | Named | Token | Done | Refused


# signed by initiators, checked by responders


class SessionRequest(_Words, frozen=True):
    """`direct`: the initiator's own underlay endpoints; none where its policy forbids a direct session. `keeps`: routes
    of the session that is there and goes on; with none it begins anew.
    """

    initiator: NodeId
    responder: NodeId
    service: str
    routes: tuple[str, ...]
    challenge: bytes
    direct: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    policy: Policy = Policy()


# ordered by managers; the body of a `label` order is a `model.Label`

LABEL, SESSION, CHALLENGE, NEIGHBOURS, EXPELLED = "label", "session", "challenge", "neighbours", "expelled"
BORDERS, UPDATE = "borders", "update"
"""The body of an `update` is an `updates.model.Install`."""


class SessionOffer(_Words, frozen=True):
    """To the responder: who wants in, in their own signed words. `cluster`: the manager id for which it is a member;
    where that is of another cluster, its signed `vouch` (`peering.words`) says so.
    """

    request: bytes
    cluster: str = ""
    vouch: bytes = b""


class ChallengeWanted(_Words, frozen=True):
    initiator: NodeId
    service: str
    cluster: str = ""
    vouch: bytes = b""


class Neighbours(_Words, frozen=True):
    """All nodes to keep links with, as signed records; `seen`: where the manager sees their link sockets from.
    `borders` are those of other clusters: what goes to them is relayed by a node that else relays for nobody.
    """

    records: tuple[bytes, ...]
    seen: dict[str, str] = {}
    borders: tuple[NodeId, ...] = ()


class ExpelledNodes(_Words, frozen=True):
    node_ids: tuple[NodeId, ...]


class Borders(_Words, frozen=True):
    """All other clusters that are peered, by manager id, and which services of this node each may use."""

    clusters: dict[NodeId, tuple[str, ...]]


class Reply(_Words, frozen=True):
    """`why` is empty where it was done."""

    why: str = ""
    challenge: bytes = b""
