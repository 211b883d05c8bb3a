"""What the buckets hold besides node records (`record`) and the route computer's links (`routes.model`). Pure words."""

from __future__ import annotations

import msgspec

from services.keys import NodeId


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one hop holds of one route: its neighbours towards both ends; None where it is that end itself.

    `route` is the route id in hex. With `gone` the hop drops it. `mtu` is the path's.
    """

    route: str
    initiator_side: NodeId | None
    responder_side: NodeId | None
    mtu: int
    gone: bool = False


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Offered by a node and signed by it; no `open_to` means anyone. `labels`: see `offer.check_labels`."""

    node_id: NodeId
    name: str
    port: int
    sequence: int
    open_to: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


class LedgerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One durable fact; `once` is its own id, by which it is written once."""

    once: str
    what: str
    of: NodeId
    at_unix_s: int
    body: msgspec.Raw


class Expelled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at_unix_s: int
    reason: str
