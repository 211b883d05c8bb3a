"""One transaction as the rooms of the messenger see it: the tables, whose they are, and what is to be done once all of
it lies on the disk. Whatever a peer posted and all that follows from it is one change, so nothing is done by half.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.keys import NodeId
from services.messenger.api_words import Event
from services.messenger.crypto import Keys
from services.messenger.errors import AskedWronglyError
from services.messenger.model import ID_BYTES, STREAM_BYTES, Body
from services.messenger.wire import pack_body

MOST_WAITING, ROOM_EVERY = 20_000, 64
"""Posts to one peer that may wait; they are counted now and then."""


class Posted(NamedTuple):
    """`body` is packed."""

    peer: NodeId
    number: int
    body: bytes


@dataclass(slots=True)
class Effects:
    """`fetch`: files (id, peer) whose bytes are to come; `topics`: of notes that came; `groups`: ids and
    names of what changed."""

    posts: list[Posted] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    fetch: list[tuple[bytes, NodeId]] = field(default_factory=list)
    drop: list[bytes] = field(default_factory=list)
    topics: set[str] = field(default_factory=set)
    groups: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Own:
    """What every change stands on. `vouch` is the node's word for the key, or empty; `name_of` what a node is called;
    `is_watched` whether anybody is told of events.
    """

    me: NodeId
    keys: Keys
    stream: bytes
    name_of: Callable[[NodeId], str]
    is_watched: Callable[[], bool] = lambda: True
    refuses_strangers: bool = False
    vouch: bytes = b""
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


class Change:
    """`texts`: of messages that it locked, so that they need not be unlocked again."""

    def __init__(self, database: sqlite3.Connection, own: Own) -> None:
        self.own, self.effects = own, Effects()
        self.texts: dict[int, str] = {}
        self.run = database.execute

    def one(self, text: str, *values: Any) -> Any:
        """The first row, or None."""
        return self.run(text, values).fetchone()

    def all(self, text: str, *values: Any) -> list[Any]:
        return self.run(text, values).fetchall()

    def post(self, peer: NodeId, body: Body, message: int | None = None) -> int:
        """Kept, locked, until the peer has it; where it is that of a message, it lies there. Returns its number."""
        data = pack_body(body)
        (following,) = self.one(
            "INSERT INTO peers (node_id, next) VALUES (?, 2) ON CONFLICT (node_id) DO UPDATE SET next = next + 1 "
            "RETURNING next",
            peer,
        )
        number = int(following) - 1
        if number % ROOM_EVERY == 0:
            self._check_room(peer)
        locked = None if message is not None else self.own.keys.locker.lock(data)
        self.run(
            "INSERT INTO outbox (peer, number, message, body, made_ms) VALUES (?, ?, ?, ?, ?)",
            (peer, number, message, locked, self.own.now_ms()),
        )
        self.effects.posts.append(Posted(peer, number, data))
        return number

    def _check_room(self, peer: NodeId) -> None:
        if self.one("SELECT count(*) FROM outbox WHERE peer = ?", peer)[0] >= MOST_WAITING:
            raise AskedWronglyError(f"{MOST_WAITING} messages to '{peer}' wait already: it must be reached first")


def new_id() -> bytes:
    return secrets.token_bytes(ID_BYTES)


def read_stream(database: sqlite3.Connection) -> bytes:
    """This store's own, drawn once."""
    database.execute(
        "INSERT OR IGNORE INTO meta (name, value) VALUES ('stream', ?)", (secrets.token_bytes(STREAM_BYTES),)
    )
    return bytes(database.execute("SELECT value FROM meta WHERE name = 'stream'").fetchone()[0])
