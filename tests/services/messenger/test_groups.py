"""Groups: whom the owner's signature names talks and hears; nobody else does, and nobody else can change it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from services.messenger.api_words import (
    AddMember,
    Done,
    Group,
    Groups,
    LeaveGroup,
    MakeGroup,
    Message,
    Messages,
    Read,
    RemoveMember,
    Search,
)
from services.messenger.change import Change
from services.messenger.crypto import group_id, read_group
from services.messenger.errors import AskedWronglyError, WireError
from services.messenger.model import GROUP, GroupState, GroupStatement, Text
from tests.services.messenger.test_talk import in_town
from tests.services.messenger.town import Person, Town


async def make(owner: Person, name: str, *others: Person) -> Group:
    (group,) = (await owner.ask(MakeGroup(name, tuple(other.id for other in others)), Groups)).groups
    for other in others:
        await other.wait_text(f"group '{name}' of {owner.id[:8]}: {len(others) + 1} members")
    return group


def test_all_hear_and_receipts_are_counted(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob, carol = (town.people[name] for name in ("alice", "bob", "carol"))
        group = await make(alice, "hut", bob, carol)
        assert (group.owner, group.version, len(group.members)) == (alice.id, 1, 3)
        sent = await bob.send("#hut", "who is there?")
        assert sent.conversation == GROUP + group.id
        for person in (alice, carol):
            came = await person.wait_text("who is there?")
            assert (came.conversation, came.sender) == (GROUP + group.id, bob.id)
        reached = await bob.wait_state(sent, "delivered")
        assert {receipt.state for receipt in reached.receipts} == {"delivered"}
        number = (await carol.wait_text("who is there?")).number
        await carol.ask(Read("#hut", number), Done)

        def carol_read(event: object) -> bool:
            message: Message | None = getattr(event, "message", None)
            return message is not None and {r.node_id: r.state for r in message.receipts}.get(carol.id) == "read"

        event = await bob.wait(carol_read, since=sent.number - 1)
        assert event.message.state == "delivered"  # type: ignore[union-attr]
        await alice.ask(Read("#hut", (await alice.wait_text("who is there?")).number), Done)
        await bob.wait_state(sent, "read")
        assert await bob.texts(alice) == [], "a group is no conversation of two"

    in_town(tmp_path, story, "alice", "bob", "carol")


def test_one_who_is_away_hides_nothing_of_the_others(tmp_path: Path) -> None:
    """The message waits as a whole, and may not be searched yet; that Carol read it is told all the same."""

    async def story(town: Town) -> None:
        alice, bob, carol = (town.people[name] for name in ("alice", "bob", "carol"))
        await make(alice, "hut", bob, carol)
        await bob.stop()
        sent = await alice.send("#hut", "who is awake?")
        came = await carol.wait_text("who is awake?")
        await carol.ask(Read("#hut", came.number), Done)

        def carol_read(event: object) -> bool:
            message: Message | None = getattr(event, "message", None)
            return message is not None and {r.node_id: r.state for r in message.receipts}.get(carol.id) == "read"

        event = await alice.wait(carol_read, since=sent.number - 1)
        assert event.message.state == "waiting"  # type: ignore[union-attr]
        assert b"awake" not in b"".join(p.read_bytes() for p in alice.config.card.glob("messages.db*"))
        await bob.start()
        await alice.wait_state(sent, "delivered")
        assert len((await alice.ask(Search("awake"), Messages)).messages) == 1

    in_town(tmp_path, story, "alice", "bob", "carol")


def test_members_come_and_go(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob, carol = (town.people[name] for name in ("alice", "bob", "carol"))
        group = await make(alice, "hut", bob)
        await alice.ask(AddMember("#hut", carol.id), Groups)
        await carol.wait_text(f"group 'hut' of {alice.id[:8]}: 3 members")
        await bob.wait_text(f"joined: {carol.id[:8]}")
        await carol.send("#hut", "hello hut")
        await bob.wait_text("hello hut")
        with pytest.raises(AskedWronglyError, match="only its owner"):
            await bob.ask(RemoveMember("#hut", carol.id), Groups)
        await bob.ask(LeaveGroup("#hut"), Done)
        await carol.wait_text(f"left: {bob.id[:8]}")
        with pytest.raises(AskedWronglyError, match="no member of 'hut' any more"):
            await bob.send(GROUP + group.id, "still here?")
        await alice.ask(RemoveMember("#hut", carol.id), Groups)
        await carol.wait_text("left: you")
        with pytest.raises(AskedWronglyError, match="no member"):
            await carol.send("#hut", "and me?")

    in_town(tmp_path, story, "alice", "bob", "carol")


def test_who_is_no_member_is_not_heard(tmp_path: Path) -> None:
    """Mallory knows the group's id, and posts what a member would; then a statement of her own making."""

    async def story(town: Town) -> None:
        alice, bob, mallory = (town.people[name] for name in ("alice", "bob", "mallory"))
        group = await make(alice, "hut", bob)
        own = mallory.messenger.own
        said = GroupStatement(group.id, alice.id, "0", 9, "hut", (mallory.id, bob.id))
        forged = own.keys.sign_group(said, own.vouch)

        def post(change: Change) -> None:
            change.post(bob.id, Text(group.id, bytes(16), 1, 0, "I am in"))
            change.post(bob.id, GroupState(forged))

        await mallory.messenger.book.write(post)
        await mallory.send(bob, "after that")
        await bob.wait_text("after that")
        for person in (alice, bob):
            assert [message.kind for message in await person.history("#hut")] == ["group"]
        await bob.send("#hut", "only us")
        await alice.wait_text("only us")
        assert await mallory.texts() == ["after that"]

    in_town(tmp_path, story, "alice", "bob", "mallory")


def test_statements_that_are_not_the_owners(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, mallory = town.people["alice"], town.people["mallory"]
        nonce, keys = "n", mallory.messenger.own.keys
        theirs = GroupStatement(group_id(alice.id, nonce), alice.id, nonce, 2, "hut", (mallory.id,))
        with pytest.raises(WireError, match="key that is not its owner's"):
            read_group(keys.sign_group(theirs, alice.messenger.own.vouch))
        stolen = msgspec.structs.replace(theirs, owner=mallory.id)
        with pytest.raises(WireError, match="not of that owner's making"):
            read_group(keys.sign_group(stolen, mallory.messenger.own.vouch))
        good = alice.messenger.own.keys.sign_group(theirs, alice.messenger.own.vouch)
        assert read_group(good) == theirs
        with pytest.raises(WireError, match="not a group's statement"):
            read_group(good.replace(b"hut", b"hat") if b"hut" in good else good[:-3] + b"AAA")

    in_town(tmp_path, story, "alice", "mallory")
