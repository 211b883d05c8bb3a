"""Who is in the network, as this manager knows it by the buckets: records, from where nodes joined, who may join, who
was expelled, the names that are vouched for. It only knows; `members` tells the node here, `introducer` the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.manager.config import read_place
from services.manager.errors import WordsError
from services.manager.followed import Following
from services.manager.record import NodeRecord, read_record
from services.manager.store import Store


class Known(NamedTuple):
    record: NodeRecord
    signed: bytes


class Registry:
    """`on_record`, `on_member` and `on_expelled` hear of each change, with the node id, after it is known here."""

    def __init__(self) -> None:
        self.nodes: dict[NodeId, Known] = {}
        self.addresses: dict[NodeId, str] = {}
        self.allowed: set[NodeId] = set()
        self.names: dict[str, NodeId] = {}
        self.expelled: set[NodeId] = set()
        self.on_record: list[Callable[[NodeId], None]] = []
        self.on_member: list[Callable[[NodeId], None]] = []
        self.on_expelled: list[Callable[[NodeId], None]] = []
        self._following = Following()

    async def start(self, store: Store) -> None:
        """Until all is known that is there. Raises BusError."""
        takes = {
            "nodes": self._take_record,
            "members": self._take_member,
            "allowed": self._take_allowed,
            "names": self._take_name,
            "expelled": self._take_expelled,
        }
        await self._following.start(store, takes)

    async def stop(self) -> None:
        await self._following.stop()

    def follow_anew(self) -> None:
        self._following.follow_anew()

    def find(self, text: str) -> NodeId:
        """A node by its id, an id's unique beginning, or a name. Raises WordsError."""
        named = self.names.get(text.lower().removesuffix(".sky"))
        found = (
            [named]
            if named
            else [node_id for node_id in (*self.nodes, *self.expelled) if node_id.startswith(text.lower())]
        )
        if len(found) == 1 and text:
            return found[0]
        if len(found) > 1:
            raise WordsError(f"'{text}' is the beginning of {len(found)} node ids: give more digits")
        try:
            return read_node_id(text)
        except IdentityError:
            raise WordsError(f"no node here has an id or name that begins '{text[:80]}' (see them: nodes)") from None

    def note(self, node_id: NodeId, signed: bytes, address: str) -> None:
        """Known at once, before the buckets say it. Raises WordsError."""
        self._take_record(node_id, signed)
        self._take_member(node_id, address.encode())

    def underlay_addresses(self, node_id: NodeId) -> tuple[str, ...]:
        """From where its packets may come: where it joined from, and what it says of itself."""
        joined = self.addresses.get(node_id)
        known = self.nodes.get(node_id)
        said = [read_place(text)[0] for text in known.record.endpoints if _is_place(text)] if known else []
        return tuple(dict.fromkeys([*([joined] if joined else []), *said]))

    # what the buckets say

    def _take_record(self, key: str, value: bytes | None) -> None:
        node_id = NodeId(key)
        if value is None:
            self.nodes.pop(node_id, None)
        else:
            known = self.nodes.get(node_id)
            if known is not None and known.signed == value:
                return
            self.nodes[node_id] = Known(read_record(value), value)
        _tell(self.on_record, node_id)

    def _take_member(self, key: str, value: bytes | None) -> None:
        node_id = NodeId(key)
        if value is None:
            self.addresses.pop(node_id, None)
        elif self.addresses.get(node_id) == value.decode():
            return
        else:
            self.addresses[node_id] = value.decode()
        _tell(self.on_member, node_id)

    def _take_allowed(self, key: str, value: bytes | None) -> None:
        (self.allowed.discard if value is None else self.allowed.add)(NodeId(key))

    def _take_name(self, key: str, value: bytes | None) -> None:
        if value is None:
            self.names.pop(key, None)
        else:
            self.names[key] = NodeId(value.decode())

    def _take_expelled(self, key: str, value: bytes | None) -> None:
        node_id = NodeId(key)
        if value is None:
            self.expelled.discard(node_id)
        elif node_id not in self.expelled:
            self.expelled.add(node_id)
            self.nodes.pop(node_id, None)
            _tell(self.on_expelled, node_id)


def _tell(hearers: list[Callable[[NodeId], None]], node_id: NodeId) -> None:
    for hear in hearers:
        hear(node_id)


def _is_place(text: str) -> bool:
    try:
        read_place(text)
    except ValueError:
        return False
    return True
