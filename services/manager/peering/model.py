"""What the managers of a cluster keep of another one, and what that one may use here. Pure.

An export is a service's name, or `NAME@NODE` with a whole node id: of that node alone. Nothing is exported that no
operator named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.manager.errors import WordsError
from services.manager.offer import check_name

Stage = Literal["asked", "asks", "peered", "refused", "ended"]
"""Asked by us, asks us, peered; refused or ended by them."""

MAX_EXPORTS = 64


class Exports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`relays`: nodes here carry such sessions too; else the border alone does, and reaches the service by one hop."""

    services: tuple[str, ...] = ()
    relays: bool = False

    def __post_init__(self) -> None:
        if len(self.services) > MAX_EXPORTS:
            raise ValueError(f"{len(self.services)} exports: at most {MAX_EXPORTS}")
        for text in self.services:
            try:
                split_export(text)
            except WordsError as error:
                raise ValueError(str(error)) from None

    def allows(self, service: str, node_id: NodeId) -> bool:
        return service in self.of(node_id)

    def of(self, node_id: NodeId) -> tuple[str, ...]:
        """The services of that node."""
        split = map(split_export, self.services)
        return tuple(dict.fromkeys(name for name, node in split if node in {"", node_id}))


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another cluster, known by one manager of theirs, whose node is their border. `border` is ours. `record` is what
    their node signed of itself; `address` where they were last seen on the underlay. `by_us`: it
    was we who refused.
    """

    manager_id: NodeId
    border: NodeId
    stage: Stage
    since_unix_s: int
    at: str = ""
    name: str = ""
    exports: Exports = Exports()
    record: bytes = b""
    address: str = ""
    why: str = ""
    by_us: bool = False


class Import(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service of theirs as its node signed it; `called` is the name that they vouch for."""

    signed: bytes
    called: str = ""


def split_export(text: str) -> tuple[str, str]:
    """The service's name, and the node's id or nothing. Raises WordsError."""
    name, at, node_id = text.partition("@")
    check_name(name)
    if at:
        try:
            read_node_id(node_id)
        except IdentityError as error:
            raise WordsError(f"export '{text[:140]}': {error}") from None
    return name, node_id


def make_exports(texts: Iterable[str], find: Callable[[str], NodeId], *, relays: bool) -> Exports:
    """Raises WordsError. `find` gives the id of a node by its name or the beginning of its id."""
    whole = []
    for text in texts:
        name, at, node = text.partition("@")
        whole.append(f"{name}@{find(node)}" if at else name)
    try:
        return Exports(tuple(dict.fromkeys(whole)), relays)
    except ValueError as error:
        raise WordsError(str(error)) from None
