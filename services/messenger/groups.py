"""Groups: who is in one is said by its owner's signature, with a rising version; texts go to each member alone."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

import msgspec

from services.keys import NodeId
from services.messenger import messages
from services.messenger.change import Change
from services.messenger.crypto import group_id, read_group
from services.messenger.errors import AskedWronglyError, NotTakenError, PeerKeyError, WireError
from services.messenger.model import GROUP, MAX_MEMBERS, MAX_NAME, GroupState, GroupStatement, GroupWord
from services.messenger.views import statement

MOST_GROUPS = 256
_NAME = re.compile(rf"[^\W_][\w .-]{{0,{MAX_NAME - 1}}}")


def make(change: Change, name: str, members: Iterable[NodeId]) -> str:
    """Returns its id."""
    me = change.own.me
    if not _NAME.fullmatch(name):
        raise AskedWronglyError(
            f"'{name[:80]}' is no group's name: use letters, digits, space, '.', '-', at most {MAX_NAME}"
        )
    nonce = secrets.token_hex(8)
    said = GroupStatement(group_id(me, nonce), me, nonce, 1, name, tuple(sorted({me, *members})))
    _say(change, said, ())
    return said.group


def add(change: Change, group: str, whom: NodeId) -> None:
    said = _own(change, group)
    if whom in said.members:
        raise AskedWronglyError(f"'{whom}' is a member already")
    _next(change, said, tuple(sorted({*said.members, whom})))


def remove(change: Change, group: str, whom: NodeId) -> None:
    said = _own(change, group)
    if whom not in said.members or whom == said.owner:
        raise AskedWronglyError(f"'{whom}' is no member of '{said.name}' who could be removed")
    _next(change, said, tuple(member for member in said.members if member != whom))


def leave(change: Change, group: str) -> None:
    """At once here; the owner's messenger tells the others. An owner that leaves ends the group."""
    said = known(change, group)
    if said.owner == change.own.me:
        _next(change, said, ())
    else:
        change.post(said.owner, GroupWord(bytes.fromhex(group), "leave"))
    change.run("UPDATE groups SET is_member = 0 WHERE id = ?", (group,))


def others(change: Change, group: str) -> list[NodeId]:
    """To whom a text goes. Raises AskedWronglyError where this node is no member."""
    said = known(change, group)
    (is_member,) = change.one("SELECT is_member FROM groups WHERE id = ?", group)
    if not is_member:
        raise AskedWronglyError(f"this node is no member of '{said.name}' any more")
    return [member for member in said.members if member != change.own.me]


def receivers(change: Change, conversation: str) -> list[NodeId]:
    """Who is sent what is said there. Raises AskedWronglyError."""
    if conversation.startswith(GROUP):
        return others(change, conversation.removeprefix(GROUP))
    if conversation == change.own.me:
        raise AskedWronglyError("that is this node itself")
    return [NodeId(conversation)]


def known(change: Change, group: str) -> GroupStatement:
    found = statement(change, group)
    if found is None:
        raise AskedWronglyError(f"no group '{group[:40]}' here")
    return found


def check_speaker(change: Change, group: str, peer: NodeId) -> None:
    """Raises NotTakenError for whoever is no member; the owner's word for it may still be on its way."""
    row = change.one("SELECT signed, is_member FROM groups WHERE id = ?", group)
    if row is None:
        raise NotTakenError("that group is not known here yet", again=True)
    if not row[1]:
        raise NotTakenError("this node is no member of that group")
    if peer not in read_group(row[0]).members:
        raise NotTakenError("you are not known here as a member of that group yet", again=True)


# by others


def take_state(change: Change, peer: NodeId, state: GroupState) -> None:
    """Raises NotTakenError for what no owner signed. An older version changes nothing."""
    try:
        said = read_group(state.signed)
    except (WireError, PeerKeyError) as error:
        raise NotTakenError(str(error)[:200]) from None
    old = statement(change, said.group)
    if old is not None and old.version >= said.version:
        return
    me = change.own.me
    if old is None and (me not in said.members or said.owner != peer):
        raise NotTakenError("this node is no member of that group")
    if old is None and change.one("SELECT count(*) FROM groups")[0] >= MOST_GROUPS:
        raise NotTakenError(f"this node is in {MOST_GROUPS} groups already")
    _keep(change, said, state.signed)
    messages.notice(change, GROUP + said.group, said.owner, "group", _told(change, old, said))


def take_word(change: Change, peer: NodeId, word: GroupWord) -> None:
    said = statement(change, word.group.hex())
    if said is None or said.owner != change.own.me:
        raise NotTakenError("this node owns no such group")
    if word.word == "leave" and peer in said.members and peer != said.owner:
        _next(change, said, tuple(member for member in said.members if member != peer))
    elif word.word == "tell" and peer in said.members:
        (signed,) = change.one("SELECT signed FROM groups WHERE id = ?", said.group)
        change.post(peer, GroupState(signed))


def _own(change: Change, group: str) -> GroupStatement:
    said = known(change, group)
    if said.owner != change.own.me:
        raise AskedWronglyError(f"only its owner, '{said.owner}', says who is in group '{said.name}'")
    return said


def _next(change: Change, said: GroupStatement, members: tuple[NodeId, ...]) -> None:
    following = msgspec.structs.replace(said, version=said.version + 1, members=members)
    _say(change, following, said.members)


def _say(change: Change, said: GroupStatement, before: tuple[NodeId, ...]) -> None:
    """Signed, kept here and told to all whom it concerns."""
    if len(said.members) > MAX_MEMBERS:
        raise AskedWronglyError(f"a group has at most {MAX_MEMBERS} members")
    if not change.own.vouch:
        raise PeerKeyError("the node has not vouched for this messenger's key yet: try again (see: node status)")
    signed = change.own.keys.sign_group(said, change.own.vouch)
    old = statement(change, said.group)
    _keep(change, said, signed)
    messages.notice(change, GROUP + said.group, said.owner, "group", _told(change, old, said))
    for member in sorted({*said.members, *before} - {change.own.me}):
        change.post(member, GroupState(signed))


def _keep(change: Change, said: GroupStatement, signed: bytes) -> None:
    change.effects.groups[said.group] = said.name
    change.run(
        "INSERT OR REPLACE INTO groups (id, version, signed, is_member) VALUES (?, ?, ?, ?)",
        (said.group, said.version, signed, change.own.me in said.members),
    )


def _told(change: Change, old: GroupStatement | None, said: GroupStatement) -> str:
    """In words, for the conversation."""

    def named(members: Iterable[NodeId]) -> str:
        return ", ".join("you" if m == change.own.me else change.own.name_of(m) or m[:8] for m in sorted(members))

    if old is None:
        return f"group '{said.name}' of {named((said.owner,))}: {len(said.members)} members"
    parts = [
        f"joined: {named(new)}" if (new := set(said.members) - set(old.members)) else "",
        f"left: {named(gone)}" if (gone := set(old.members) - set(said.members)) else "",
    ]
    return "; ".join(part for part in parts if part) or f"version {said.version}"
