"""Files in the store: what was offered, what was said to it, how far it is. The bytes are moved by `transfers`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from services.keys import NodeId, key_bytes
from services.messenger import messages
from services.messenger.change import Change
from services.messenger.errors import AskedWronglyError, NotTakenError
from services.messenger.model import GROUP, ID_BYTES, MAX_FILE_NAME, FileOffer, FileWord

MOST_OFFERED = 1000
"""Files that wait for a word here."""


class Moving(NamedTuple):
    """A file whose bytes are to come."""

    id: bytes
    peer: NodeId
    size: int
    digest: bytes


def file_id(sender: NodeId, nonce: bytes) -> bytes:
    return hashlib.blake2b(key_bytes(sender) + nonce, digest_size=ID_BYTES, person=b"skywire file id").digest()


def check_name(name: str) -> None:
    """A name for a file alone. Raises AskedWronglyError."""
    if not is_plain(name):
        raise AskedWronglyError(f"{name[:80]!a} is no file's name: 1 to {MAX_FILE_NAME} bytes, no '/', nothing hidden")


def is_plain(name: str) -> bool:
    return (
        0 < len(name.encode("utf-8", "surrogatepass")) <= MAX_FILE_NAME
        and name.isprintable()
        and "/" not in name
        and "\\" not in name
        and not name.startswith(".")
    )


# one's own


def offer(
    change: Change,
    conversation: str,
    to: Sequence[NodeId],
    nonce: bytes,
    name: str,
    size: int,
    digest: bytes,
    once: str = "",
) -> int:
    """What lies beside the store already. Returns the message's number."""
    if once and (found := change.one("SELECT number FROM messages WHERE once = ?", once)):
        return int(found[0])
    if not to:
        raise AskedWronglyError("nobody else is in that group")
    number, sequence, id_ = messages.keep_own(change, conversation, "file", name, once=once, nonce=nonce)
    file, now_ms = file_id(change.own.me, nonce), change.own.now_ms()
    for peer in to:
        change.run(
            "INSERT INTO files (id, peer, message, conversation, name, size, digest, is_mine, stage, made_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 1, 'offered', ?)",
            (file, peer, number, conversation, name, size, digest, now_ms),
        )
    wire_name = conversation.removeprefix(GROUP) if conversation.startswith(GROUP) else ""
    messages.send(change, number, to, FileOffer(wire_name, id_, sequence, now_ms, nonce, name, size, digest))
    return number


def fetched(change: Change, file: bytes, peer: NodeId, offset: int) -> int | None:
    """That peer has so much of it, and fetches more: its size; None where it may not. That it was accepted may be told
    later than it is fetched.
    """
    row = change.one(
        "SELECT size FROM files WHERE id = ? AND peer = ? AND is_mine AND stage IN ('offered', 'waiting', 'moving')",
        *(file, peer),
    )
    if row is None:
        return None
    set_stage(change, file, peer, "moving", done=min(offset, row[0]))
    return int(row[0])


# others'


def check_offer(change: Change, peer: NodeId, offer: FileOffer) -> None:
    """Raises NotTakenError."""
    if change.one("SELECT 1 FROM files WHERE id = ?", file_id(peer, offer.nonce)):
        raise NotTakenError("that file was offered already")
    if not is_plain(offer.name):
        raise NotTakenError("a file's name is plain: no folder, nothing hidden or unprintable")
    if change.one("SELECT count(*) FROM files WHERE stage = 'offered' AND NOT is_mine")[0] >= MOST_OFFERED:
        raise NotTakenError(f"{MOST_OFFERED} files wait for an answer here", again=True)


def take_offer(change: Change, peer: NodeId, offer: FileOffer, number: int) -> None:
    conversation = f"{GROUP}{offer.conversation}" if offer.conversation else peer
    change.run(
        "INSERT OR IGNORE INTO files (id, peer, message, conversation, name, size, digest, is_mine, stage, made_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 0, 'offered', ?)",
        (
            file_id(peer, offer.nonce),
            peer,
            number,
            conversation,
            offer.name,
            offer.size,
            offer.digest,
            change.own.now_ms(),
        ),
    )


def take_word(change: Change, peer: NodeId, word: FileWord) -> None:
    row = change.one("SELECT is_mine, stage, size FROM files WHERE id = ? AND peer = ?", word.file, peer)
    if row is None:
        raise NotTakenError("that file is not known here")
    is_mine, stage, size = row
    if stage in {"done", "refused", "failed"} or bool(is_mine) == (word.word == "ended"):
        return
    if word.word == "accepted":
        if stage == "offered":
            set_stage(change, word.file, peer, "waiting")
    elif word.word == "done":
        set_stage(change, word.file, peer, "done", done=size)
    else:
        set_stage(change, word.file, peer, "refused", why=word.why)
    forget_bytes(change, word.file)


def accept(change: Change, file: bytes, peer: NodeId, quota: int) -> None:
    row = change.one("SELECT is_mine, stage, size FROM files WHERE id = ? AND peer = ?", file, peer)
    if row is None or row[0]:
        raise AskedWronglyError("that file was not offered to this node")
    if row[1] in {"waiting", "moving", "done"}:
        return
    (taken,) = change.one(
        "SELECT coalesce(sum(size), 0) FROM files WHERE NOT is_mine AND stage IN ('waiting', 'moving', 'done')"
    )
    if taken + row[2] > quota:
        raise AskedWronglyError(
            f"{row[2]} bytes do not fit: {taken} of {quota} are taken (refuse others, or raise files_quota_bytes)"
        )
    set_stage(change, file, peer, "waiting")
    change.post(peer, FileWord(file, "accepted"))
    change.effects.fetch.append((file, peer))


def refuse(change: Change, file: bytes, peer: NodeId) -> None:
    """From either end."""
    row = change.one("SELECT is_mine, stage FROM files WHERE id = ? AND peer = ?", file, peer)
    if row is None:
        raise AskedWronglyError("that file is not known here")
    if row[1] not in {"done", "refused", "failed"}:
        change.post(peer, FileWord(file, "ended" if row[0] else "refused", "its sender ended it" if row[0] else ""))
    set_stage(change, file, peer, "refused", why="refused here")
    forget_bytes(change, file)


def finish(change: Change, file: bytes, peer: NodeId, why: str = "") -> None:
    """All of it is here; or it never will be, and why."""
    if why:
        set_stage(change, file, peer, "failed", why=why)
        change.post(peer, FileWord(file, "refused", why[:200]))
    else:
        (size,) = change.one("SELECT size FROM files WHERE id = ? AND peer = ?", file, peer)
        set_stage(change, file, peer, "done", done=size)
        change.post(peer, FileWord(file, "done"))


def set_stage(change: Change, file: bytes, peer: NodeId, stage: str, *, done: int | None = None, why: str = "") -> None:
    change.run(
        "UPDATE files SET stage = ?, why = ?, done = coalesce(?, done) WHERE id = ? AND peer = ?",
        (stage, why, done, file, peer),
    )
    messages.tell_moved(change, file, peer)


def forget_bytes(change: Change, file: bytes) -> None:
    """Where nobody needs them any more."""
    if not change.one(
        "SELECT 1 FROM files WHERE id = ? AND (stage IN ('offered', 'waiting', 'moving') "
        "OR (stage = 'done' AND NOT is_mine)) LIMIT 1",
        file,
    ):
        change.effects.drop.append(file)


def to_fetch(change: Change) -> list[tuple[bytes, NodeId]]:
    """What was accepted and is not all here."""
    return [
        (file, peer)
        for file, peer in change.all("SELECT id, peer FROM files WHERE NOT is_mine AND stage IN ('waiting', 'moving')")
    ]


def moving(change: Change, file: bytes, peer: NodeId) -> Moving | None:
    row = change.one(
        "SELECT size, digest FROM files WHERE id = ? AND peer = ? AND NOT is_mine AND stage IN ('waiting', 'moving')",
        *(file, peer),
    )
    return Moving(file, peer, *row) if row else None


def all_ids(change: Change) -> set[str]:
    """Whose bytes may lie beside the store."""
    return {
        id_.hex() for (id_,) in change.all("SELECT DISTINCT id FROM files WHERE stage NOT IN ('refused', 'failed')")
    }
