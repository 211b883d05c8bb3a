"""Messages in the store: one's own from the writing to the last receipt, others' once each, in their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.keys import NodeId
from services.messenger import views
from services.messenger.api_words import Came, Changed, Moved
from services.messenger.change import Change, new_id
from services.messenger.conversation import State, is_fair, later, least, next_sequence
from services.messenger.errors import AskedWronglyError, NotTakenError
from services.messenger.model import GROUP, MAX_TEXT, Body, FileOffer, Seen, Text

MOST_OF_A_STRANGER = 500
"""Messages of somebody whom nobody here has answered or named."""


def check_text(text: str) -> None:
    """Raises AskedWronglyError."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise AskedWronglyError("the text is not Unicode: it has half a letter") from None
    if not text or text.isspace():
        raise AskedWronglyError("the text is empty")
    if size > MAX_TEXT:
        raise AskedWronglyError(f"a text has at most {MAX_TEXT} bytes, this one {size}: send it as a file")


# one's own


def say(
    change: Change, conversation: str, to: Sequence[NodeId], text: str, *, reply_to: str = "", once: str = ""
) -> int:
    """Returns the message's number; that of the one already sent where `once` was said before."""
    if once and (found := change.one("SELECT number FROM messages WHERE once = ?", once)):
        return int(found[0])
    check_text(text)
    reply = _reply(change, conversation, reply_to)
    number, sequence, id_ = keep_own(change, conversation, "text", text, reply_to=reply, once=once)
    wire_name = conversation.removeprefix(GROUP) if conversation.startswith(GROUP) else ""
    send(change, number, to, Text(wire_name, id_, sequence, change.own.now_ms(), text, reply))
    return number


def keep_own(
    change: Change,
    conversation: str,
    kind: str,
    text: str,
    *,
    reply_to: bytes = b"",
    once: str = "",
    nonce: bytes = b"",
) -> tuple[int, int, bytes]:
    """Its number, sequence and id. The text is locked until all have it."""
    id_, now_ms = new_id(), change.own.now_ms()
    found = change.one("SELECT sequence FROM conversations WHERE id = ?", conversation)
    sequence = next_sequence(found[0] if found else 0)
    (number,) = change.one(
        "INSERT INTO messages (conversation, sender, id, sequence, kind, locked, reply_to, sent_ms, kept_ms, state, "
        "is_mine, nonce, once) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', 1, ?, ?) RETURNING number",
        *(conversation, change.own.me, id_, sequence, kind, change.own.keys.locker.lock(text.encode()), reply_to),
        *(now_ms, now_ms, nonce, once or None),
    )
    change.texts[number] = text
    change.run(
        "INSERT INTO conversations (id, sequence, last, spoke) VALUES (?, ?, ?, 1) "
        "ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, last = excluded.last, spoke = 1",
        (conversation, sequence, number),
    )
    return int(number), sequence, id_


def send(change: Change, number: int, to: Sequence[NodeId], body: Body) -> None:
    """To one, or to each member of a group."""
    is_group = isinstance(body, Text | FileOffer) and bool(body.conversation)
    for peer in to:
        change.post(peer, body, number)
        if is_group:
            change.run("INSERT INTO receipts (message, peer, state) VALUES (?, ?, 'waiting')", (number, peer))
    if not to:  # a group of nobody else
        (locked,) = change.one("SELECT locked FROM messages WHERE number = ?", number)
        _open(change, number, "delivered", "", locked)
    tell_came(change, number)


def _reply(change: Change, conversation: str, reply_to: str) -> bytes:
    if not reply_to:
        return b""
    try:
        id_ = bytes.fromhex(reply_to)
    except ValueError:
        id_ = b""
    if not change.one("SELECT 1 FROM messages WHERE conversation = ? AND id = ?", conversation, id_):
        raise AskedWronglyError(f"no message '{reply_to[:40]}' in that conversation to reply to")
    return id_


def body_of(change: Change, message: int) -> Body | None:
    """What of a message is posted, from what lies in the store; None where it is gone."""
    row = change.one(
        "SELECT conversation, id, sequence, sent_ms, text, locked, reply_to, kind, nonce FROM messages "
        "WHERE number = ?",
        message,
    )
    if row is None:
        return None
    conversation, id_, sequence, sent_ms, text, locked, reply_to, kind, nonce = row
    if text is None:
        text = change.own.keys.locker.read(locked)
    name = conversation.removeprefix(GROUP) if conversation.startswith(GROUP) else ""
    if kind != "file":
        return Text(name, id_, sequence, sent_ms, text, reply_to)
    found = change.one("SELECT size, digest FROM files WHERE message = ?", message)
    return FileOffer(name, id_, sequence, sent_ms, nonce, text, *found) if found else None


def progress(change: Change, message: int, peer: NodeId, state: State, why: str = "") -> None:
    """How far a message of one's own has come at that peer. Once no copy waits any more, it can be searched."""
    row = change.one("SELECT conversation, state, locked FROM messages WHERE number = ?", message)
    if row is None:
        return
    conversation, old, locked = row
    is_group = conversation.startswith(GROUP)
    if is_group:
        new = _receipt(change, message, peer, state)
        waits = change.one("SELECT 1 FROM outbox WHERE message = ? LIMIT 1", message) is not None
    else:
        new = "failed" if state == "failed" and old in {"waiting", "boxed"} else later(old, state)
        waits = new in {"waiting", "boxed"}
    if locked is None or waits:
        change.run("UPDATE messages SET state = ?, why = ? WHERE number = ?", (new, why, message))
    else:
        _open(change, message, new, why, locked)
    tell_changed(change, message)


def _open(change: Change, message: int, state: State, why: str, locked: bytes) -> None:
    text = change.own.keys.locker.read(locked)
    change.run(
        "UPDATE messages SET state = ?, why = ?, text = ?, locked = NULL WHERE number = ?", (state, why, text, message)
    )
    change.run("INSERT INTO words (rowid, text) VALUES (?, ?)", (message, text))


def _receipt(change: Change, message: int, peer: NodeId, state: State) -> State:
    rows = dict(change.all("SELECT peer, state FROM receipts WHERE message = ?", message))
    if peer in rows:
        rows[peer] = state if state == "failed" else later(rows[peer], state)
        change.run("UPDATE receipts SET state = ? WHERE message = ? AND peer = ?", (rows[peer], message, peer))
    return least(rows.values())


def seen_by(change: Change, peer: NodeId, seen: Seen) -> None:
    if seen.conversation:
        rows = change.all(
            "SELECT message FROM receipts JOIN messages ON number = message WHERE peer = ? "
            "AND receipts.state = 'delivered' AND conversation = ? AND sequence <= ?",
            *(peer, GROUP + seen.conversation, seen.upto),
        )
    else:
        rows = change.all(
            "SELECT number FROM messages WHERE conversation = ? AND sequence <= ? AND state = 'delivered' AND is_mine",
            *(peer, seen.upto),
        )
    for (number,) in rows:
        progress(change, number, peer, "read")


# others'


def take(change: Change, peer: NodeId, body: Text | FileOffer) -> int | None:
    """Its number; None where it was here already. Raises NotTakenError."""
    conversation = f"{GROUP}{body.conversation}" if body.conversation else peer
    text = body.text if isinstance(body, Text) else body.name
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        raise NotTakenError(f"a text of more than {MAX_TEXT} bytes")
    known = change.one("SELECT sequence, spoke, heard FROM conversations WHERE id = ?", conversation)
    sequence, spoke, heard = known or (0, 0, 0)
    if not body.conversation and not spoke:
        _check_stranger(change, peer, heard)
    if not is_fair(body.sequence, sequence):
        raise NotTakenError(f"sequence {body.sequence} after {sequence}")
    kind, nonce = ("file", body.nonce) if isinstance(body, FileOffer) else ("text", b"")
    row = change.one(
        "INSERT OR IGNORE INTO messages (conversation, sender, id, sequence, kind, text, reply_to, sent_ms, kept_ms, "
        "state, is_mine, nonce) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'unread', 0, ?) RETURNING number",
        *(conversation, peer, body.id, body.sequence, kind, text, body.reply_to if isinstance(body, Text) else b""),
        *(body.said_ms, change.own.now_ms(), nonce),
    )
    if row is None:
        return None
    number = int(row[0])
    change.run("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, text))
    change.run(
        "INSERT INTO conversations (id, sequence, last, heard) VALUES (?, ?, ?, 1) ON CONFLICT (id) DO UPDATE "
        "SET sequence = max(sequence, excluded.sequence), last = excluded.last, heard = heard + 1",
        (conversation, body.sequence, number),
    )
    return number


def _check_stranger(change: Change, peer: NodeId, heard: int) -> None:
    if (heard < MOST_OF_A_STRANGER and not change.own.refuses_strangers) or change.own.name_of(peer):
        return
    if change.own.refuses_strangers:
        raise NotTakenError("this node takes messages of its contacts only")
    raise NotTakenError(f"{heard} messages were not answered: no more until then", again=True)


def read_upto(change: Change, conversation: str, upto: int) -> None:
    """Its senders are told."""
    rows = change.all(
        "UPDATE messages SET state = 'read' WHERE conversation = ? AND state = 'unread' AND number <= ? "
        "RETURNING number, sender, sequence, kind",
        *(conversation, upto),
    )
    highest: dict[NodeId, int] = {}
    for number, sender, sequence, kind in rows:
        if kind in {"text", "file"} and sender != change.own.me:
            highest[sender] = max(sequence, highest.get(sender, 0))
        tell_changed(change, number)
    name = conversation.removeprefix(GROUP) if conversation.startswith(GROUP) else ""
    for sender, sequence in highest.items():
        change.post(sender, Seen(name, sequence))


def notice(
    change: Change, conversation: str, sender: NodeId, kind: str, text: str, *, topic: str = "", once: str = ""
) -> int:
    """A line that nobody sent, at the end of the conversation."""
    if once and (found := change.one("SELECT number FROM messages WHERE once = ?", once)):
        return int(found[0])
    now_ms = change.own.now_ms()
    found = change.one("SELECT sequence FROM conversations WHERE id = ?", conversation)
    (number,) = change.one(
        "INSERT INTO messages (conversation, sender, id, sequence, kind, text, topic, sent_ms, kept_ms, state, "
        "is_mine, once) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'unread', 0, ?) RETURNING number",
        *(conversation, sender, new_id(), max(1, found[0] if found else 1), kind, text, topic, now_ms, now_ms),
        once or None,
    )
    change.run("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, text))
    change.run(
        "INSERT INTO conversations (id, sequence, last) VALUES (?, 1, ?) "
        "ON CONFLICT (id) DO UPDATE SET last = excluded.last",
        (conversation, number),
    )
    tell_came(change, int(number))
    return int(number)


# events


def tell_came(change: Change, number: int) -> None:
    if change.own.is_watched():
        change.effects.events += [Came(message) for message in _message(change, number)]


def tell_changed(change: Change, number: int) -> None:
    if change.own.is_watched():
        change.effects.events += [Changed(message) for message in _message(change, number)]


def tell_moved(change: Change, file: bytes, peer: NodeId) -> None:
    if change.own.is_watched() and (found := views.file(change, file, peer)):
        change.effects.events.append(Moved(found))


def _message(change: Change, number: int) -> list[Any]:
    return views.messages(change, "number = ?", number)
