"""Rows of the store as the words of the API. Nothing is changed here."""

from __future__ import annotations

from typing import Any

import msgspec

from services.keys import NodeId
from services.messenger.api_words import (
    Contact,
    Conversation,
    FileState,
    GetHistory,
    Group,
    GroupMember,
    Kept,
    Mailbox,
    Message,
    Messages,
    Note,
    Receipt,
    Search,
)
from services.messenger.change import Change
from services.messenger.crypto import read_group
from services.messenger.errors import AskedWronglyError
from services.messenger.model import GROUP, GroupStatement

MAX_LISTED = 500
MAX_WORDS = 16
_COLUMNS = (
    "number, id, conversation, sender, is_mine, kind, text, locked, sent_ms, kept_ms, state, reply_to, topic, why, "
    "sequence"
)
_FILE = "id, conversation, peer, name, size, is_mine, stage, done, why"


def messages(change: Change, where: str, *values: Any, order: str = "number", limit: int = MAX_LISTED) -> list[Message]:
    rows = change.all(
        f"SELECT {_COLUMNS} FROM messages WHERE {where} ORDER BY {order} LIMIT ?",  # noqa: S608 (ours alone)
        *(*values, limit),
    )
    return [_message(change, row) for row in rows]


def _message(change: Change, row: Any) -> Message:
    number, id_, conversation, sender, is_mine, kind, text, locked, sent, kept, state, reply, topic, why, seq = row
    if text is None:
        text = change.texts.get(number) or change.own.keys.locker.read(locked)
    receipts: tuple[Receipt, ...] = ()
    if is_mine and conversation.startswith(GROUP):
        found = change.all("SELECT peer, state FROM receipts WHERE message = ? ORDER BY peer", number)
        receipts = tuple(Receipt(peer, how) for peer, how in found)
    return Message(
        number=number,
        id=id_.hex(),
        conversation=conversation,
        sender=sender,
        name=change.own.name_of(sender),
        is_mine=bool(is_mine),
        kind=kind,
        text=text,
        sent_unix_s=sent / 1000,
        kept_unix_s=kept / 1000,
        state=state,
        reply_to=reply.hex(),
        topic=topic,
        file=_file_of(change, number) if kind == "file" else None,
        receipts=receipts,
        why=why,
        sequence=seq,
    )


def history(change: Change, conversation: str, request: GetHistory) -> Messages:
    """One page; in it the order is that of the conversation, not that of arrival."""
    limit = _limit(request.limit)
    wheres, values = (["conversation = ?"], [conversation]) if conversation else ([], [])
    if request.unread:
        wheres.append("state = 'unread'")
    if request.since is not None:
        wheres.append(f"number > {int(request.since)}")
    if request.before:
        wheres.append(f"number < {int(request.before)}")
    order = "number" if request.since is not None else "number DESC"
    found = messages(change, " AND ".join(wheres) or "1", *values, order=order, limit=limit + 1)
    page = found[:limit]
    page.sort(key=(lambda one: (one.sequence, one.sender, one.id)) if conversation else (lambda one: one.number))
    return Messages(tuple(page), more=len(found) > limit)


def search(change: Change, conversation: str, request: Search) -> Messages:
    """Raises AskedWronglyError where no word is given."""
    limit = _limit(request.limit)
    where = "number IN (SELECT rowid FROM words WHERE words MATCH ?)"
    values: list[Any] = [_match(request.words)]
    if conversation:
        where += " AND conversation = ?"
        values.append(conversation)
    found = messages(change, where, *values, order="number DESC", limit=limit + 1)
    return Messages(tuple(found[:limit]), more=len(found) > limit)


def _match(words: str) -> str:
    """Every word in quotes, so that none is an operator of FTS5."""
    terms = []
    for word in words.split()[:MAX_WORDS]:
        plain, star = (word[:-1], "*") if word.endswith("*") else (word, "")
        if any(letter.isalnum() for letter in plain):
            terms.append('"' + plain.replace('"', '""') + '"' + star)
    if not terms:
        raise AskedWronglyError("nothing to look for: give at least one word")
    return " ".join(terms)


def _limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LISTED:
        raise AskedWronglyError(f"limit is 1 to {MAX_LISTED}, not {limit}")
    return limit


def conversations(change: Change) -> list[Conversation]:
    rows = change.all("SELECT id, last FROM conversations ORDER BY last DESC LIMIT 1000")
    found = []
    for id_, last in rows:
        (unread,) = change.one("SELECT count(*) FROM messages WHERE conversation = ? AND state = 'unread'", id_)
        (waiting,) = change.one(
            "SELECT count(*) FROM messages WHERE conversation = ? AND state IN ('waiting', 'boxed')", id_
        )
        newest = messages(change, "number = ?", last)
        found.append(Conversation(id_, title(change, id_), unread, waiting, newest[0] if newest else None))
    return found


def title(change: Change, conversation: str) -> str:
    if not conversation.startswith(GROUP):
        return change.own.name_of(NodeId(conversation))
    found = statement(change, conversation.removeprefix(GROUP))
    return found.name if found else ""


def contacts(change: Change, online: frozenset[NodeId], named: frozenset[NodeId]) -> list[Contact]:
    """`named`: who has a name somewhere else."""
    rows = {row[0]: row for row in change.all("SELECT node_id, name, vouched, is_blocked, heard_ms FROM peers")}
    spoken = {row[0] for row in change.all("SELECT id FROM conversations WHERE id NOT LIKE 'group:%'")}
    unread = dict(
        change.all("SELECT conversation, count(*) FROM messages WHERE state = 'unread' GROUP BY conversation")
    )
    found = []
    for node_id in sorted(named | spoken | {who for who, row in rows.items() if row[1] or row[3]}):
        _, contact, vouched, is_blocked, heard_ms = rows.get(node_id, (node_id, "", "", 0, 0))
        name = change.own.name_of(node_id)
        by = "contact" if contact else "pet" if node_id in named else "vouched" if vouched else ""
        found.append(
            Contact(node_id, name, by, node_id in online, heard_ms / 1000, unread.get(node_id, 0), bool(is_blocked))  # type: ignore[arg-type]
        )
    return found


# files


def file(change: Change, id_: bytes, peer: NodeId) -> FileState | None:
    row = change.one(f"SELECT {_FILE} FROM files WHERE id = ? AND peer = ?", id_, peer)  # noqa: S608
    return _file(row) if row else None


def files(change: Change, conversation: str = "") -> list[FileState]:
    where, values = ("conversation = ?", (conversation,)) if conversation else ("1", ())
    rows = change.all(f"SELECT {_FILE} FROM files WHERE {where} ORDER BY made_ms DESC LIMIT 1000", *values)  # noqa: S608
    return [_file(row) for row in rows]


def files_like(change: Change, beginning: str) -> list[FileState]:
    """Whose id begins so."""
    if len(beginning) > 32 or not beginning or beginning.strip("0123456789abcdef"):
        raise AskedWronglyError(f"'{beginning[:40]}' is no file's id: they are of 0-9 a-f")
    rows = change.all(f"SELECT {_FILE} FROM files WHERE lower(hex(id)) LIKE ? LIMIT 70", f"{beginning}%")  # noqa: S608
    return [_file(row) for row in rows]


def _file_of(change: Change, message: int) -> FileState | None:
    row = change.one(f"SELECT {_FILE} FROM files WHERE message = ? ORDER BY peer LIMIT 1", message)  # noqa: S608
    return _file(row) if row else None


def _file(row: Any) -> FileState:
    id_, conversation, peer, name, size, is_mine, stage, done, why = row
    return FileState(id_.hex(), conversation, peer, name, size, bool(is_mine), stage, done, why)


# groups


def statement(change: Change, group: str) -> GroupStatement | None:
    row = change.one("SELECT signed FROM groups WHERE id = ?", group)
    return read_group(row[0]) if row else None


def groups(change: Change) -> list[Group]:
    return [
        _group(change, read_group(signed), bool(is_member))
        for signed, is_member in change.all("SELECT signed, is_member FROM groups ORDER BY id LIMIT 1000")
    ]


def group(change: Change, id_: str) -> Group:
    signed, is_member = change.one("SELECT signed, is_member FROM groups WHERE id = ?", id_)
    return _group(change, read_group(signed), bool(is_member))


def _group(change: Change, said: GroupStatement, is_member: bool) -> Group:
    members = tuple(GroupMember(member, change.own.name_of(member)) for member in said.members)
    return Group(said.group, said.name, said.owner, said.version, members, is_member)


# mailboxes and notes


def mailboxes(change: Change) -> list[Mailbox]:
    rows = change.all("SELECT node_id, is_agreed, why FROM mailboxes ORDER BY node_id")
    return [Mailbox(node_id, change.own.name_of(node_id), bool(agreed), why) for node_id, agreed, why in rows]


def kept(change: Change) -> list[Kept]:
    rows = change.all(
        "SELECT boxes.peer, quota, keep_s, count(digest), coalesce(sum(size), 0) FROM boxes "
        "LEFT JOIN boxed ON boxed.peer = boxes.peer GROUP BY boxes.peer"
    )
    return [Kept(peer, change.own.name_of(peer), *rest) for peer, *rest in rows]


def notes(change: Change, topic: str) -> list[Note]:
    rows = change.all("SELECT number, peer, body, sent_ms FROM notes WHERE topic = ? ORDER BY number LIMIT 100", topic)
    return [Note(number, peer, topic, body, sent / 1000) for number, peer, body, sent in rows]


def encoded(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)
