"""What is kept, and for how long; names and notes; what messenger.yaml may say."""

from __future__ import annotations

import asyncio
import grp
import pwd
from pathlib import Path

import pytest

from services.errors import SettingsError
from services.messenger.api_words import (
    Contacts,
    GetContacts,
    Messages,
    Notes,
    NoteSent,
    PostNotice,
    Search,
    SendNote,
    Sent,
    SetContact,
    TakeNotes,
)
from services.messenger.config import Config, read_config
from services.messenger.errors import AskedWronglyError, StoreError
from services.settings_file import parse_settings
from tests.services.messenger.test_talk import in_town
from tests.services.messenger.town import Town, town


def test_the_oldest_go_and_do_not_come_again(tmp_path: Path) -> None:
    async def story(made: Town) -> None:
        alice = await made.move_in("alice")
        bob = await made.move_in("bob", keep_messages=100)
        for number in range(150):
            await alice.send(bob, f"word{number}")
        await bob.wait_text("word149")
        made.away.add(alice.id)
        waiting = await bob.send(alice, "word waits")
        await bob.messenger.tidy()
        texts = await bob.texts(alice)
        assert texts == [*(f"word{number}" for number in range(51, 150)), "word waits"]
        assert (await bob.ask(Search("word10"), Messages)).messages == ()
        assert len((await bob.ask(Search("word149"), Messages)).messages) == 1
        await bob.wait_state(waiting, "delivered")
        await alice.messenger.book.write(
            lambda change: change.run("UPDATE peers SET next = 1 WHERE node_id = ?", (bob.id,)).rowcount
        )
        again = await alice.send(bob, "with a number that was taken")
        await alice.wait_state(again, "delivered")
        assert await bob.texts(alice) == texts

    async def live() -> None:
        async with town(tmp_path) as made:
            await story(made)

    asyncio.run(live())


def test_a_store_of_another_node_is_not_opened(tmp_path: Path) -> None:
    async def story(made: Town) -> None:
        alice, bob = made.people["alice"], made.people["bob"]
        for person in (alice, bob):
            await person.stop()
        alice.config = bob.config
        with pytest.raises(StoreError, match="holds the messages of node"):
            await alice.start()
        await bob.start()

    in_town(tmp_path, story, "alice", "bob")


def test_names_of_ones_own(tmp_path: Path) -> None:
    async def story(made: Town) -> None:
        alice, bob, carol = (made.people[name] for name in ("alice", "bob", "carol"))
        await alice.ask(SetContact(bob.id, "bobby"), Contacts)
        assert (await alice.send("bobby", "hello")).conversation == bob.id
        with pytest.raises(AskedWronglyError, match="is called already"):
            await alice.ask(SetContact(carol.id, "bobby"), Contacts)
        for wrong in ("a b", "#x", "x/y", carol.id):
            with pytest.raises(AskedWronglyError, match=r"is no name|is a node's id"):
                await alice.ask(SetContact(bob.id, wrong), Contacts)
        await alice.send("carol", "by a name that is vouched for")
        await alice.stop()
        await alice.start()
        contacts = {one.name: one.by for one in (await alice.ask(GetContacts(), Contacts)).contacts}
        assert contacts == {"bobby": "contact", "carol": "vouched"}
        await alice.ask(SetContact("bobby", ""), Contacts)
        with pytest.raises(AskedWronglyError, match="nobody is known as 'bobby'"):
            await alice.send("bobby", "gone")

    in_town(tmp_path, story, "alice", "bob", "carol")


def test_notes_and_notices(tmp_path: Path) -> None:
    async def story(made: Town) -> None:
        alice, bob = made.people["alice"], made.people["bob"]
        waiting = asyncio.create_task(bob.ask(TakeNotes("peering", wait_s=15), Notes))
        for number in (1, 1, 2):
            await alice.ask(SendNote(bob.id, "peering", f"note {number}", once=str(number)), NoteSent)
        first = (await waiting).notes[0]
        assert (first.body, first.node_id) == ("note 1", alice.id)
        assert await bob.texts() == [], "shown to nobody"
        while len((await bob.ask(TakeNotes("peering"), Notes)).notes) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await bob.stop()
        await bob.start()
        (second,) = (await bob.ask(TakeNotes("peering", since=first.number), Notes)).notes
        assert second.body == "note 2"
        assert (await bob.ask(TakeNotes("peering", since=second.number), Notes)).notes == ()
        assert (await bob.ask(TakeNotes("peering", wait_s=0.05), Notes)).notes == ()
        for _ in range(2):
            sent = await bob.ask(PostNotice(alice.id, "peering", "wants to peer", once="1"), Sent)
        assert (sent.message.kind, sent.message.topic, sent.message.state) == ("notice", "peering", "unread")
        assert await bob.texts(alice) == ["wants to peer"]
        assert await alice.texts() == []

    in_town(tmp_path, story, "alice", "bob")


def test_settings_have_defaults_and_lines(tmp_path: Path) -> None:
    assert parse_settings("", Config, "x") == Config()
    me, group = pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name
    text = f"card: /c\nnote_users: {{peering: [{me}, '12']}}\ngroup: {group}\nstrangers: refuse\n"
    text += "policy: {hops_at_least: 2}\n"
    path = tmp_path / "messenger.yaml"
    path.write_text(text)
    found = read_config(path)
    assert found.topics == {"peering": frozenset({0, 12})}
    assert found.group is not None
    assert found.policy.hops_at_least == 2
    assert found.group.gid == 0
    assert read_config(tmp_path / "none.yaml", path) == found
    for wrong, said in {
        "port: 0": "port",
        "colour: red": "colour",
        "group: nobody-has-this": "there is no group",
        "note_users: {a: [nobody-has-this]}": "there is no user",
        "strangers: perhaps": "strangers",
    }.items():
        path.write_text(f"\n{wrong}\n")
        with pytest.raises(SettingsError, match=f"{path}:2: .*{said}"):
            read_config(path)
