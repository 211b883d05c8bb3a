"""Mailboxes: what a board keeps for another that is away, and where this one may be written to. All in the store.

Three agree. The owner draws a token and asks a board, which must have been told to offer it (quota, days). The owner
tells those it writes with the token; whoever shows it may deposit. So the keeper is never told who may, nor keeps who
did; it learns the receiver, when, and a rough size. (Its connection of the moment does show the depositor's node id.)
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from services.keys import NodeId
from services.messenger.change import Change, new_id
from services.messenger.errors import AskedWronglyError, NotTakenError
from services.messenger.model import (
    ID_BYTES,
    MailboxAnswer,
    MailboxAsk,
    MailboxPlace,
    MailboxPlaces,
    MailItem,
)
from services.messenger.wire import Deposit

MOST_ITEMS = 10_000
MOST_PLACES = 4
MAX_QUOTA, MAX_KEEP_S = 1 << 30, 366 * 86400

# kept for others


def offer(change: Change, whom: NodeId, quota: int, keep_s: int) -> None:
    if not 0 < quota <= MAX_QUOTA or not 0 < keep_s <= MAX_KEEP_S:
        raise AskedWronglyError(f"a mailbox has 1 to {MAX_QUOTA} bytes and keeps them for 1 to {MAX_KEEP_S} seconds")
    change.run(
        "INSERT INTO boxes (peer, quota, keep_s) VALUES (?, ?, ?) "
        "ON CONFLICT (peer) DO UPDATE SET quota = excluded.quota, keep_s = excluded.keep_s",
        (whom, quota, keep_s),
    )
    (token,) = change.one("SELECT token FROM boxes WHERE peer = ?", whom)
    change.post(whom, MailboxAnswer(bool(token), "" if token else "offered: ask for it"))


def end(change: Change, whom: NodeId) -> None:
    """Of both kinds."""
    if change.one("SELECT 1 FROM boxes WHERE peer = ?", whom):
        for (number,) in change.all("SELECT number FROM boxed WHERE peer = ?", whom):
            change.run("DELETE FROM outbox WHERE peer = ? AND number = ?", (whom, number))
        change.run("DELETE FROM boxed WHERE peer = ?", (whom,))
        change.run("DELETE FROM boxes WHERE peer = ?", (whom,))
        change.post(whom, MailboxAnswer(is_agreed=False, why="ended"))
    if change.one("SELECT 1 FROM mailboxes WHERE node_id = ?", whom):
        change.run("DELETE FROM mailboxes WHERE node_id = ?", (whom,))
        change.post(whom, MailboxAsk(b""))
        tell_places(change)


def take_ask(change: Change, peer: NodeId, ask: MailboxAsk) -> None:
    box = change.one("SELECT quota FROM boxes WHERE peer = ?", peer)
    if box is None:
        if ask.token:
            change.post(peer, MailboxAnswer(is_agreed=False, why="not offered there (there: mailbox offer)"))
        return
    if ask.token and len(ask.token) != ID_BYTES:
        raise NotTakenError(f"a token has {ID_BYTES} bytes")
    change.run("UPDATE boxes SET token = ? WHERE peer = ?", (ask.token, peer))
    if ask.token:
        change.post(peer, MailboxAnswer(is_agreed=True))


def deposit(change: Change, word: Deposit) -> str:
    """Why it is not kept; empty where it is. Nothing is written of who deposits."""
    box = change.one("SELECT quota, token FROM boxes WHERE peer = ?", word.to)
    if box is None or not box[1] or not hmac.compare_digest(box[1], word.token):
        return "no mailbox here for that node and token"
    digest = hashlib.blake2b(word.sealed, digest_size=16).digest()
    if change.one("SELECT 1 FROM boxed WHERE peer = ? AND digest = ?", word.to, digest):
        return ""
    items, size = change.one("SELECT count(*), coalesce(sum(size), 0) FROM boxed WHERE peer = ?", word.to)
    if items >= MOST_ITEMS or size + len(word.sealed) > box[0]:
        return "the mailbox is full"
    number = change.post(word.to, MailItem(word.sealed))
    change.run(
        "INSERT INTO boxed (peer, digest, number, size, made_ms) VALUES (?, ?, ?, ?, ?)",
        (word.to, digest, number, len(word.sealed), change.own.now_ms()),
    )
    return ""


def handed_over(change: Change, peer: NodeId, number: int) -> None:
    change.run("DELETE FROM boxed WHERE peer = ? AND number = ?", (peer, number))


def expire(change: Change) -> int:
    """How many were kept for too long."""
    rows = change.all(
        "SELECT boxed.peer, number FROM boxed JOIN boxes ON boxes.peer = boxed.peer WHERE made_ms + keep_s * 1000 < ?",
        change.own.now_ms(),
    )
    for peer, number in rows:
        change.run("DELETE FROM outbox WHERE peer = ? AND number = ?", (peer, number))
        handed_over(change, peer, number)
    return len(rows)


# kept by others for this one


def ask(change: Change, whom: NodeId) -> None:
    if change.one("SELECT count(*) FROM mailboxes WHERE node_id != ?", whom)[0] >= MOST_PLACES:
        raise AskedWronglyError(f"at most {MOST_PLACES} boards keep for one: end another first")
    token = new_id()
    change.run(
        "INSERT INTO mailboxes (node_id, token, why) VALUES (?, ?, 'not answered yet') "
        "ON CONFLICT (node_id) DO UPDATE SET token = excluded.token, is_agreed = 0, why = excluded.why",
        (whom, token),
    )
    change.post(whom, MailboxAsk(token))


def take_answer(change: Change, peer: NodeId, answer: MailboxAnswer) -> None:
    row = change.one("SELECT is_agreed FROM mailboxes WHERE node_id = ?", peer)
    if row is None:
        return
    change.run("UPDATE mailboxes SET is_agreed = ?, why = ? WHERE node_id = ?", (answer.is_agreed, answer.why, peer))
    if bool(row[0]) != answer.is_agreed:
        tell_places(change)


def is_kept_by(change: Change, peer: NodeId) -> bool:
    return change.one("SELECT 1 FROM mailboxes WHERE node_id = ?", peer) is not None


def tell_places(change: Change) -> None:
    """To all whom this node writes with."""
    change.run("INSERT INTO meta VALUES ('places', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1")
    for (peer,) in change.all("SELECT id FROM conversations WHERE spoke AND id NOT LIKE 'group:%'"):
        tell_places_to(change, peer)


def tell_places_to(change: Change, peer: NodeId) -> None:
    """Unless it knows."""
    row = change.one("SELECT value FROM meta WHERE name = 'places'")
    told = change.one("SELECT told FROM peers WHERE node_id = ?", peer)
    if row is None or (told and told[0] == row[0]):
        return
    places = change.all("SELECT node_id, token FROM mailboxes WHERE is_agreed AND node_id != ?", peer)
    change.post(peer, MailboxPlaces(tuple(MailboxPlace(*place) for place in places)))
    change.run("UPDATE peers SET told = ? WHERE node_id = ?", (row[0], peer))


# where others may be written to


def take_places(change: Change, peer: NodeId, told: MailboxPlaces) -> None:
    change.run("INSERT OR IGNORE INTO peers (node_id) VALUES (?)", (peer,))
    change.run("UPDATE peers SET mailboxes = ? WHERE node_id = ?", (msgspec.msgpack.encode(told.places), peer))


def places_of(change: Change, peer: NodeId) -> tuple[NodeId | None, tuple[MailboxPlace, ...]]:
    """Its messenger's key, and who keeps for it."""
    row = change.one("SELECT key, mailboxes FROM peers WHERE node_id = ?", peer)
    if row is None or not row[0] or not row[1]:
        return None, ()
    return row[0], msgspec.msgpack.decode(row[1], type=tuple[MailboxPlace, ...])
