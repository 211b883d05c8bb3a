"""The words that parts of the node hand each other. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address

from services.kernel.model import Fact
from services.keys import CurveKey, NodeId
from services.manager.routes.model import Kind


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """This node's end of a link. `link_key` is the neighbour's, None on a wire; `via` its address there, None on
    WireGuard. `mtu` is of the packets that the link carries whole.
    """

    device: str
    link_key: CurveKey | None
    via: IPv6Address | None
    mtu: int


@dataclass(frozen=True, slots=True)
class LinkState:
    """`endpoint` is where the neighbour is tried or was last found; `why` says what keeps a link down, or is empty."""

    node_id: NodeId
    kind: Kind
    is_up: bool
    rtt_s: float
    loss: float
    since_s: float
    device: str
    mtu: int
    address: IPv6Address
    endpoint: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class RouteEnd:
    """A route that ends here. `peer_side` is the first node on the way to `other`; `mtu` is the path's."""

    route: str
    own: IPv6Address
    other: IPv6Address
    peer_side: NodeId
    mtu: int


Facts = tuple[Fact, ...]
