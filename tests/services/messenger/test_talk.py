"""Two messengers talk: order, receipts, replies, search, strangers, what waits while the other is away, and that all of
it is shown exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.messenger.api_words import (
    Contacts,
    Conversations,
    Done,
    GetConversations,
    GetStatus,
    Messages,
    Read,
    Search,
    SetContact,
    Status,
)
from services.messenger.app import KEY
from services.messenger.errors import AskedWronglyError
from tests.services.messenger.town import Town, town


def in_town(tmp_path: Path, story: Callable[[Town], Awaitable[None]], *names: str) -> None:
    async def live() -> None:
        async with town(tmp_path, *names) as made:
            await story(made)

    asyncio.run(live())


def test_a_message_and_its_receipts(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        sent = await alice.send(bob, "hello")
        assert (sent.state, sent.is_mine, sent.conversation) == ("waiting", True, bob.id)
        came = await bob.wait_text("hello")
        assert (came.id, came.sender, came.state, came.sequence) == (sent.id, alice.id, "unread", 1)
        await alice.wait_state(sent, "delivered")
        answer = await bob.send(alice, "hello yourself", reply_to=came.id)
        assert (await alice.wait_text("hello yourself")).reply_to == sent.id
        assert answer.sequence == 2
        await bob.ask(Read(alice.id, came.number), Done)
        await alice.wait_state(sent, "read")
        assert await alice.texts(bob) == await bob.texts(alice) == ["hello", "hello yourself"]
        assert len((await bob.ask(Search("HELLO yours*"), Messages)).messages) == 1

    in_town(tmp_path, story, "alice", "bob")


def test_what_waits_is_locked_and_comes_in_order_once(tmp_path: Path) -> None:
    """Kept at the sender while the other is away, also over restarts of both; the other's hello is enough."""

    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        await bob.stop()
        sent = [await alice.send(bob, f"secret word {number}") for number in range(40)]
        assert {message.state for message in sent} == {"waiting"}
        await alice.stop()
        disk = b"".join(path.read_bytes() for path in alice.config.card.iterdir())
        assert b"secret word" not in disk
        town.away.add(bob.id)
        await alice.start()
        await bob.start()
        await bob.send(alice, "here I am")
        assert (await bob.wait_text("secret word 39")).sender == alice.id
        await alice.wait_state(sent[-1], "delivered")
        texts = [f"secret word {number}" for number in range(40)]
        assert [text for text in await bob.texts(alice) if text in texts] == texts
        assert [message.text for message in await alice.history(bob) if message.is_mine] == texts
        assert len((await alice.ask(Search("secret"), Messages)).messages) == 40

    in_town(tmp_path, story, "alice", "bob")


def test_an_answer_that_is_lost_shows_nothing_twice(tmp_path: Path) -> None:
    """Links are cut again and again while both talk; each text is there once, at both, in the same order."""

    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]

        async def talk(one: object, other: object) -> None:
            for number in range(150):
                await one.send(other, f"{one.name} {number}")  # type: ignore[attr-defined]

        async def cut() -> None:
            for _ in range(15):
                await asyncio.sleep(0.02)
                for person in (alice, bob):
                    for links in list(person.messenger.board._links.values()):
                        for link in list(links):
                            link.end()

        await asyncio.gather(talk(alice, bob), talk(bob, alice), cut())
        await bob.wait_text("alice 149")
        await alice.wait_text("bob 149")
        here, there = await alice.texts(bob), await bob.texts(alice)
        assert len(here) == len(set(here)) == 300
        assert here == there
        assert [text for text in here if text.startswith("alice")] == [f"alice {number}" for number in range(150)]

    in_town(tmp_path, story, "alice", "bob")


def test_the_peers_clock_sorts_nothing(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        bob.messenger.own.now_ms = lambda: 0
        for number in range(3):
            await alice.send(bob, f"alice {number}")
            await bob.wait_text(f"alice {number}")
            await bob.send(alice, f"bob {number}")
            came = await alice.wait_text(f"bob {number}")
            assert came.sent_unix_s == 0
        wanted = [f"{name} {number}" for number in range(3) for name in ("alice", "bob")]
        assert await alice.texts(bob) == await bob.texts(alice) == wanted

    in_town(tmp_path, story, "alice", "bob")


def test_said_once_is_sent_once(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        first = await alice.send(bob, "pay 5", once="order 1")
        again = await alice.send(bob, "pay 5", once="order 1")
        await bob.wait_text("pay 5")
        assert first.number == again.number
        assert await bob.texts(alice) == ["pay 5"]

    in_town(tmp_path, story, "alice", "bob")


def test_who_is_blocked_is_told_so(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        contacts = (await bob.ask(SetContact(alice.id, "al", is_blocked=True), Contacts)).contacts
        assert [(one.name, one.by, one.is_blocked) for one in contacts] == [("al", "contact", True)]
        failed = await alice.wait_state(await alice.send(bob, "please"), "failed")
        assert failed.why == "refused"
        assert await bob.texts() == []
        await bob.ask(SetContact("al", is_blocked=False), Contacts)
        await alice.send(bob, "thank you")
        assert (await bob.wait_text("thank you")).name == "al"

    in_town(tmp_path, story, "alice", "bob")


def test_conversations_and_status(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob, carol = (town.people[name] for name in ("alice", "bob", "carol"))
        await alice.send("bob", "to bob")
        await carol.send("alice", "from carol")
        await alice.wait_text("from carol")
        found = (await alice.ask(GetConversations(), Conversations)).conversations
        assert [(one.id, one.unread) for one in found] == [(carol.id, 1), (bob.id, 0)]
        status = await alice.ask(GetStatus(), Status)
        assert (status.works, status.messages, status.unread) == (True, 2, 1)
        with pytest.raises(AskedWronglyError, match="nobody is known as 'nobody'"):
            await alice.send("nobody", "x")
        with pytest.raises(AskedWronglyError, match="empty"):
            await alice.send(bob, "  ")

    in_town(tmp_path, story, "alice", "bob", "carol")


def test_a_hello_is_enough_while_dialling_hangs(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        town.stuck.add(bob.id)
        waiting = [await alice.send(bob, "are you there?"), await alice.send(bob, "and now?")]
        await bob.send(alice, "I call you")
        for message in waiting:
            await alice.wait_state(message, "delivered")
        assert town.tried[bob.id] == 1

    in_town(tmp_path, story, "alice", "bob")


def test_without_its_key_what_waited_is_gone_and_said_so(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        town.away.add(bob.id)
        sent = await alice.send(bob, "nobody can read this")
        await alice.stop()
        (alice.config.card / KEY).unlink()
        await alice.start()
        assert await alice.texts(bob) == ["(locked with a key that is gone)"]
        town.away.clear()
        await bob.send(alice, "hello")
        await alice.wait_text("hello")
        await alice.wait_state(sent, "delivered")
        await bob.wait_state(await bob.send(alice, "all goes on"), "delivered")

    in_town(tmp_path, story, "alice", "bob")
