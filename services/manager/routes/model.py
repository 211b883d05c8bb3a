"""The words of the route computer: links as their nodes report them, and the routes that come out.

A link is reported from one side, for the direction away from it. Packets of a route go both ways, so a hop counts
only where both sides report it up; its cost is that of the direction from the route's initiator. Between two nodes
there is one link, of one kind.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

from services.keys import NodeId
from services.manager.routes.errors import LinkError

LONGEST_LATENCY_S = 60.0
HIGHEST_PRICE = 1e9
LINK_MTU, SMALLEST_MTU, LARGEST_MTU = 1420, 1280, 65535


class Kind(StrEnum):
    WG = "wg"
    WIRE = "wire"


class Link(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """`src`'s report of its way to `dst`. `price` is per gigabyte; `loss` a share from 0 to 1; `mtu` is that of the
    packets that go over it.
    """

    src: NodeId
    dst: NodeId
    latency_s: float
    price: float = 0.0
    bandwidth_bps: int = 0
    loss: float = 0.0
    kind: Kind = Kind.WG
    up: bool = True
    mtu: int = LINK_MTU

    def __post_init__(self) -> None:
        if self.src == self.dst:
            raise LinkError(f"a link joins two nodes, not '{self.src}' with itself")
        self._check("latency_s", self.latency_s, LONGEST_LATENCY_S)
        self._check("price", self.price, HIGHEST_PRICE)
        self._check("loss", self.loss, 1.0)
        self._check("bandwidth_bps", self.bandwidth_bps, math.inf)
        if not SMALLEST_MTU <= self.mtu <= LARGEST_MTU:
            raise LinkError(
                f"mtu '{self.mtu}' of the link from '{self.src}' is not from {SMALLEST_MTU} to {LARGEST_MTU}"
            )

    def _check(self, name: str, value: float, most: float) -> None:
        if not 0 <= value <= most:
            raise LinkError(f"{name} '{value}' of the link from '{self.src}' is not from 0 to {most:g}")


class Route(msgspec.Struct, frozen=True):
    """Nodes from initiator to responder; the sums and the narrowest of its links in that direction."""

    nodes: tuple[NodeId, ...]
    kinds: tuple[Kind, ...]
    latency_s: float
    price: float
    bandwidth_bps: int
    loss: float
    mtu: int = LINK_MTU

    @property
    def hops(self) -> int:
        """How many links; one more than relays."""
        return len(self.nodes) - 1


class Apart(StrEnum):
    """What two routes share besides their ends and the nodes that the policy puts on both."""

    NODES = "nodes"
    """Neither a node nor a link."""

    LINKS = "links"
    """No link, but a node."""

    NONE = "none"
    """There is no second route."""


class Pair(msgspec.Struct, frozen=True):
    """`route` is the better one. `reason` is empty, or says why it is not two routes apart in nodes and proven best."""

    route: Route
    standby: Route | None
    apart: Apart
    revision: int
    reason: str = ""
