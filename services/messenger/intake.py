"""What peers post, taken into the store: each once, whichever way it came, with all that follows from it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.keys import NodeId
from services.messenger import delivery, files, groups, mailbox, messages
from services.messenger.change import Change
from services.messenger.conversation import Window
from services.messenger.crypto import read_vouch
from services.messenger.errors import MessengerError, NotTakenError, PeerKeyError, WireError
from services.messenger.model import (
    Arrived,
    Body,
    Boxed,
    FileOffer,
    FileWord,
    GroupState,
    GroupWord,
    MailboxAnswer,
    MailboxAsk,
    MailboxPlaces,
    MailItem,
    Note,
    Seen,
    Text,
)
from services.messenger.views import encoded
from services.messenger.wire import MAX_ACKED, Ack, Nack, Post, read_body

MOST_STREAMS = 16
MOST_NOTES = 1000
_pairs = msgspec.msgpack.Decoder(tuple[tuple[int, int], ...])


def take_posts(change: Change, peer: NodeId, stream: bytes, posts: Sequence[Post], key: str = "") -> list[Ack | Nack]:
    """The answers to them. What was taken before is acknowledged again. `key` is that of its messenger, or empty."""
    window = before = _window(change, peer, stream)
    acked, answers = [], list[Ack | Nack]()
    is_blocked = _is_blocked(change, peer)
    for post in posts:
        if not window.holds(post.number):
            try:
                if is_blocked:
                    raise NotTakenError("refused")
                if window.is_full:
                    raise NotTakenError("too many came before those that are missing", again=True)
                _take(change, peer, read_body(post.body))
            except WireError as error:
                answers.append(Nack(post.number, str(error)[:200]))
                continue
            except NotTakenError as error:
                answers.append(Nack(post.number, str(error)[:200], error.again))
                continue
            window = window.take(post.number)
        acked.append(post.number)
    if window != before:
        _keep_window(change, peer, stream, window)
    if before == Window() != window:
        _know(change, peer, key)
    answers += [Ack(tuple(acked[at : at + MAX_ACKED])) for at in range(0, len(acked), MAX_ACKED)]
    return answers


def _take(change: Change, peer: NodeId, body: Body) -> None:
    """All of it or nothing. Raises NotTakenError, WireError."""
    if isinstance(body, Text) and not body.conversation:  # the frequent one changes nothing before it is sure
        number = messages.take(change, peer, body)
        if number is not None:
            messages.tell_came(change, number)
        return
    posts, events = len(change.effects.posts), len(change.effects.events)
    change.run("SAVEPOINT post")
    try:
        _take_kind(change, peer, body)
    except MessengerError as error:
        change.run("ROLLBACK TO post")
        del change.effects.posts[posts:], change.effects.events[events:]
        if isinstance(error, NotTakenError | WireError):
            raise
        raise NotTakenError(str(error)[:200], again=True) from None
    finally:
        change.run("RELEASE post")


def _take_kind(change: Change, peer: NodeId, body: Body) -> None:  # noqa: C901 (a table)
    match body:
        case Text() | FileOffer():
            _take_message(change, peer, body)
        case FileWord():
            files.take_word(change, peer, body)
        case Seen():
            messages.seen_by(change, peer, body)
        case Arrived():
            if body.stream == change.own.stream:
                delivery.arrived(change, peer, body.numbers)
        case GroupState():
            groups.take_state(change, peer, body)
        case GroupWord():
            groups.take_word(change, peer, body)
        case Note():
            _take_note(change, peer, body)
        case MailboxAsk():
            mailbox.take_ask(change, peer, body)
        case MailboxAnswer():
            mailbox.take_answer(change, peer, body)
        case MailboxPlaces():
            mailbox.take_places(change, peer, body)
        case MailItem():
            _take_item(change, peer, body)


def _take_message(change: Change, peer: NodeId, body: Text | FileOffer) -> None:
    if body.conversation:
        groups.check_speaker(change, body.conversation, peer)
    if isinstance(body, FileOffer):
        files.check_offer(change, peer, body)
    number = messages.take(change, peer, body)
    if number is None:
        return
    if isinstance(body, FileOffer):
        files.take_offer(change, peer, body, number)
    messages.tell_came(change, number)


def _take_note(change: Change, peer: NodeId, note: Note) -> None:
    if change.one("SELECT count(*) FROM notes WHERE topic = ?", note.topic)[0] >= MOST_NOTES:
        raise NotTakenError(f"{MOST_NOTES} notes of that topic were not taken here yet", again=True)
    change.run(
        "INSERT INTO notes (peer, topic, body, sent_ms) VALUES (?, ?, ?, ?)",
        (peer, note.topic, note.body, note.said_ms),
    )
    change.effects.topics.add(note.topic)


def _take_item(change: Change, keeper: NodeId, item: MailItem) -> None:
    """From a mailbox of this node's: a post by somebody else, who is told that it arrived. What cannot be taken from
    there is left to its sender to post again.
    """
    if not mailbox.is_kept_by(change, keeper):
        raise NotTakenError("this node asked you for no mailbox")
    try:
        inside: Boxed = change.own.keys.unseal(item.sealed, change.own.me)
    except (WireError, PeerKeyError) as error:
        raise NotTakenError(str(error)[:200]) from None
    if inside.by in {change.own.me, keeper}:
        raise NotTakenError("that item is by nobody else")
    post = Post(inside.number, inside.body)
    if isinstance(read_body(post.body), MailItem):
        raise NotTakenError("an item inside an item")
    key = read_vouch(inside.key, inside.by)
    for answer in take_posts(change, inside.by, inside.stream, (post,), key):
        if isinstance(answer, Ack) and not isinstance(read_body(post.body), Arrived):
            change.post(inside.by, Arrived(inside.stream, answer.numbers))


def remember(change: Change, peer: NodeId, key: str) -> None:
    """A peer that was reached; one that is not known is not written down for having come."""
    change.run(
        "UPDATE peers SET heard_ms = ?, key = coalesce(nullif(?, ''), key) WHERE node_id = ?",
        (change.own.now_ms(), key, peer),
    )


def _know(change: Change, peer: NodeId, key: str) -> None:
    """Something of it was taken."""
    change.run("INSERT OR IGNORE INTO peers (node_id) VALUES (?)", (peer,))
    remember(change, peer, key)


def _is_blocked(change: Change, peer: NodeId) -> bool:
    row = change.one("SELECT is_blocked FROM peers WHERE node_id = ?", peer)
    return bool(row and row[0])


def _window(change: Change, peer: NodeId, stream: bytes) -> Window:
    row = change.one("SELECT upto, beyond FROM taken WHERE peer = ? AND stream = ?", peer, stream)
    return Window(row[0], _pairs.decode(row[1])) if row else Window()


def _keep_window(change: Change, peer: NodeId, stream: bytes, window: Window) -> None:
    """Of a node that begins a new stream again and again the old ones are forgotten."""
    if window.upto <= 1 and change.one("SELECT count(*) FROM taken WHERE peer = ?", peer)[0] >= MOST_STREAMS:
        change.run("DELETE FROM taken WHERE peer = ? AND stream != ?", (peer, stream))
    change.run(
        "INSERT OR REPLACE INTO taken (peer, stream, upto, beyond) VALUES (?, ?, ?, ?)",
        (peer, stream, window.upto, encoded(window.beyond)),
    )
