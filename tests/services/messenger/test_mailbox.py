"""Mailboxes: what is laid there is sealed, comes once, tells the keeper nothing of who wrote, and has its quota and
its end.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from services.messenger import mailbox, upkeep
from services.messenger.api_words import (
    AskMailbox,
    EndMailbox,
    GetMailboxes,
    Mailboxes,
    Message,
    OfferMailbox,
)
from services.messenger.change import Change
from services.messenger.crypto import SMALLEST
from services.messenger.model import MAX_SEALED
from services.messenger.wire import Deposit
from tests.services.messenger.test_talk import in_town
from tests.services.messenger.town import Person, Town

NAMES = ("alice", "bob", "keeper")


async def agree(owner: Person, keeper: Person, friend: Person, quota: int = 1_000_000) -> None:
    """The owner and the keeper; and the friend was told of it."""
    await keeper.ask(OfferMailbox(owner.id, quota), Mailboxes)
    await owner.ask(AskMailbox(keeper.id), Mailboxes)

    async def is_agreed() -> bool:
        return [box.is_agreed for box in (await owner.ask(GetMailboxes(), Mailboxes)).mine] == [True]

    await until(is_agreed)
    await owner.send(friend, "you may write to me there")
    await friend.wait_text("you may write to me there")

    async def is_told() -> bool:
        return bool((await friend.messenger.book.read(lambda change: mailbox.places_of(change, owner.id)))[1])

    await until(is_told)


async def until(is_so: Any, within_s: float = 20.0) -> None:
    """What nothing tells of is asked again."""
    async with asyncio.timeout(within_s):
        while not await is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def rows(person: Person, table: str) -> list[Any]:
    return await person.messenger.book.read(lambda change: change.all(f"SELECT * FROM {table}"))  # noqa: S608


async def boxed(person: Person, message: Message) -> None:
    await person.wait_state(message, "boxed")


def test_a_message_waits_in_a_mailbox(tmp_path: Path) -> None:
    """Alice writes while Bob is away, and leaves; Bob comes back and has it, once, though both the mailbox and later
    Alice bring it."""

    async def story(town: Town) -> None:
        alice, bob, keeper = (town.people[name] for name in NAMES)
        await agree(bob, keeper, alice)
        await bob.stop()
        sent = [await alice.send(bob, f"sealed words {number}") for number in range(5)]
        for message in sent:
            await boxed(alice, message)
        kept = (await keeper.ask(GetMailboxes(), Mailboxes)).kept
        assert [(box.node_id, box.items) for box in kept] == [(bob.id, 5)]
        assert kept[0].bytes % SMALLEST != len("sealed words 0")
        await alice.stop()
        assert b"sealed words" not in b"".join(p.read_bytes() for p in keeper.config.card.glob("messages.db*"))
        await bob.start()
        await bob.wait_text("sealed words 4")
        texts = [text for text in await bob.texts(alice) if text.startswith("sealed")]
        assert texts == [f"sealed words {number}" for number in range(5)]
        await alice.start()
        for message in sent:
            await alice.wait_state(message, "delivered")
        assert [text for text in await bob.texts(alice) if text.startswith("sealed")] == texts
        assert (await keeper.ask(GetMailboxes(), Mailboxes)).kept[0].items == 0

    in_town(tmp_path, story, *NAMES)


def test_the_keeper_writes_down_nothing_of_who_wrote(tmp_path: Path) -> None:
    """Alice never wrote to the keeper, and is nowhere in its store; sizes are those of the buckets."""

    async def story(town: Town) -> None:
        alice, bob, keeper = (town.people[name] for name in NAMES)
        await agree(bob, keeper, alice)
        await bob.stop()
        for text in ("x", "x" * 100):
            await boxed(alice, await alice.send(bob, text))
        sizes = {row[3] for row in await rows(keeper, "boxed")}
        assert len(sizes) == 1, "two short texts look alike"
        await keeper.stop()
        disk = b"".join(path.read_bytes() for path in keeper.config.card.iterdir() if path.is_file())
        for form in (alice.id.encode(), bytes.fromhex(alice.id), alice.messenger.own.keys.public.encode()):
            assert form not in disk
        assert bob.id.encode() in disk, "whom it is for, it must know"

    in_town(tmp_path, story, *NAMES)


def test_quota_token_and_end(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob, keeper = (town.people[name] for name in NAMES)
        await agree(bob, keeper, alice, quota=3000)
        token = (await rows(bob, "mailboxes"))[0][1]

        async def deposit(token: bytes, size: int = 1000, fill: int = 0) -> str:
            word = Deposit(1, bob.id, token, bytes([fill]) * size)
            return await keeper.messenger.book.write(lambda change: mailbox.deposit(change, word))

        await bob.stop()
        assert await deposit(bytes(16)) == "no mailbox here for that node and token"
        assert [await deposit(token, fill=number) for number in (1, 1, 2, 3)] == [""] * 4, "the same again is one"
        assert await deposit(token, fill=4) == "the mailbox is full"
        sent = await alice.send(bob, "too much")
        assert sent.state == "waiting"
        found = (await keeper.ask(EndMailbox(bob.id), Mailboxes)).kept
        assert found == ()
        assert await rows(keeper, "boxed") == []
        assert await deposit(token) == "no mailbox here for that node and token"
        await bob.start()
        await bob.wait_text("too much")

        async def has_ended() -> bool:
            return [box.is_agreed for box in (await bob.ask(GetMailboxes(), Mailboxes)).mine] == [False]

        await until(has_ended)

    in_town(tmp_path, story, *NAMES)


def test_what_is_kept_for_too_long_goes(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob, keeper = (town.people[name] for name in NAMES)
        await agree(bob, keeper, alice)
        await bob.stop()
        await boxed(alice, await alice.send(bob, "old"))
        own = keeper.messenger.own
        now_ms = own.now_ms()

        def tidy(change: Change) -> bool:
            return upkeep.tidy(change, 1000, 0)

        await keeper.messenger.book.write(tidy)
        assert len(await rows(keeper, "boxed")) == 1
        for day, days in ((29, 30), (100, 366)):
            own.now_ms = lambda day=day: now_ms + day * 86400 * 1000  # type: ignore[misc]
            await keeper.ask(OfferMailbox(bob.id, keep_s=days * 86400), Mailboxes)
            await keeper.messenger.book.write(tidy)
            assert len(await rows(keeper, "boxed")) == 1
        await keeper.ask(OfferMailbox(bob.id, keep_s=30 * 86400), Mailboxes)
        await bob.start()
        await bob.wait_text("old")
        assert [box.is_agreed for box in (await bob.ask(GetMailboxes(), Mailboxes)).mine] == [True]
        await bob.stop()
        await boxed(alice, await alice.send(bob, "old again"))
        own.now_ms = lambda: now_ms + 140 * 86400 * 1000
        await keeper.messenger.book.write(tidy)
        assert await rows(keeper, "boxed") == []
        assert not [row for row in await rows(keeper, "outbox") if len(row[3]) > SMALLEST], "no sealed item waits"

    in_town(tmp_path, story, *NAMES)


def test_not_offered_is_not_agreed(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob, keeper = town.people["bob"], town.people["keeper"]
        await bob.ask(AskMailbox(keeper.id), Mailboxes)

        async def is_refused() -> bool:
            (box,) = (await bob.ask(GetMailboxes(), Mailboxes)).mine
            return not box.is_agreed and box.why.startswith("not offered there")

        await until(is_refused)

    in_town(tmp_path, story, *NAMES)


def test_the_longest_text_fits_a_sealed_item(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob, keeper = (town.people[name] for name in NAMES)
        await agree(bob, keeper, alice)
        await bob.stop()
        await boxed(alice, await alice.send(bob, "w" * 16384))
        assert max(row[3] for row in await rows(keeper, "boxed")) <= MAX_SEALED

    in_town(tmp_path, story, *NAMES)
