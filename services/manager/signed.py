"""Signed words, pure: what a node states of itself, and what a manager orders a node to hold or do.

What is signed is kept as the bytes that were signed, so no two programs need agree how JSON is written. Nothing that
came over NATS is believed unless it is one of these: the bus keeps nodes apart, but a reply may go where it was not
meant to.

    statement   by a node: its record, a service it offers. A rising sequence; older ones are refused
    order       by a manager, to one node: a label, a command, an answer. A rising revision, see `lease.revision`
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import msgspec

from services.errors import IdentityError
from services.keys import Identity, NodeId, verify
from services.manager.errors import OlderError, WordsError

MAX_BYTES = 48 * 1024
"""Fits a message of the bus, in base64."""

T = TypeVar("T")


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """On the wire JSON, its bytes in base64."""

    by: NodeId
    text: bytes
    signature: bytes


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a manager signs: for one node, and newer than all of a lower revision. `kind` names the type of `body`."""

    to: NodeId
    revision: int
    kind: str
    body: msgspec.Raw


def sign(identity: Identity, purpose: str, value: object) -> bytes:
    text = msgspec.json.encode(value)
    if len(text) > MAX_BYTES:
        raise WordsError(f"{purpose}: {len(text)} bytes are too many to sign, at most {MAX_BYTES}")
    return msgspec.json.encode(Signed(identity.node_id, text, identity.sign(purpose, text)))


def read(data: bytes, purpose: str, kind: type[T]) -> tuple[NodeId, T]:
    """Who signed it, and what it says. Raises WordsError."""
    if len(data) > 2 * MAX_BYTES:
        raise WordsError(f"{purpose}: {len(data)} bytes are too many")
    signed = decode(data, Signed, purpose)
    try:
        verify(signed.by, purpose, signed.text, signed.signature)
    except IdentityError as error:
        raise WordsError(f"{purpose}: {error}") from None
    return signed.by, decode(signed.text, kind, purpose)


def decode(data: bytes | msgspec.Raw, kind: type[T], what: str) -> T:
    """Raises WordsError with the place that does not fit."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WordsError(f"{what}: not understood: {error}") from None
    except IdentityError as error:
        raise WordsError(f"{what}: {error}") from None


# orders

ORDER = "skywire order"


def sign_order(manager: Identity, to: NodeId, revision: int, kind: str, body: object) -> bytes:
    if revision < 1:
        raise WordsError(f"an order's revision is 1 or more, not {revision}")
    return sign(manager, ORDER, Order(to, revision, kind, msgspec.Raw(msgspec.json.encode(body))))


def read_order(data: bytes, me: NodeId, managers: Collection[NodeId], last: int) -> Order:
    """An order for this node, newer than revision `last`. Raises WordsError, or OlderError for a replay."""
    by, order = read(data, ORDER, Order)
    if by not in managers:
        raise WordsError(f"an order by '{by}', who is no manager of this node")
    if order.to != me:
        raise WordsError(f"an order for node '{order.to}', not for this one")
    if order.revision <= last:
        raise OlderError(f"an order of revision {order.revision}, and {last} was here before")
    return order
