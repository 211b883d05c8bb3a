"""Who breaks the rules pays with the own connection: everybody else's messages come as ever, and nothing is believed
that was not proved.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from services.keys import NodeId
from services.messenger.api_words import Contacts, SetContact
from services.messenger.link import HELLO_WITHIN_S
from services.messenger.messages import MOST_OF_A_STRANGER
from services.messenger.model import MailItem, Seen, Text
from services.messenger.switchboard import MAX_OF_ONE
from services.messenger.wire import (
    MAX_CHUNK,
    VERSION,
    Ack,
    Bye,
    Chunk,
    FrameReader,
    Hello,
    Nack,
    Post,
    Word,
    frame,
    pack_body,
)
from tests.services.messenger.test_talk import in_town
from tests.services.messenger.town import Person, Town
from tests.services.node.between import until

STREAM = bytes(8)
TAKEN_BY_THE_KERNEL = 16 << 20


class Stranger:
    """A peer of the tests' own making, which says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._frames, self._words = FrameReader(), list[Word]()

    def say(self, *words: Word) -> None:
        self.writer.write(b"".join(map(frame, words)))

    async def hear(self) -> Word | None:
        """None where the other end has closed."""
        async with asyncio.timeout(20):
            while not self._words:
                data = await self._reader.read(65536)
                if not data:
                    return None
                self._words = self._frames.feed(data)
        return self._words.pop(0)

    async def hear_end(self) -> str:
        """What is said last."""
        why = ""
        with contextlib.suppress(ConnectionError):
            while (word := await self.hear()) is not None:
                why = word.why if isinstance(word, Bye) else why
        return why


@contextlib.asynccontextmanager
async def stranger(town: Town, to: Person, address: str, node_id: NodeId | None = None) -> AsyncIterator[Stranger]:
    """Comes from that address; says hello as that node, if one is named."""
    place = town.places[to.id]
    reader, writer = await asyncio.open_connection(place.address, place.port, local_addr=(address, 0))
    made = Stranger(reader, writer)
    if node_id is not None:
        made.say(Hello(VERSION, node_id, STREAM))
        assert isinstance(await made.hear(), Hello)
    try:
        yield made
    finally:
        writer.transport.abort()


async def known(town: Town, name: str) -> Person:
    """Somebody with an address in town, whose messenger does not run."""
    person = await town.move_in(name)
    await person.stop()
    return person


def test_an_id_is_believed_from_its_address_alone(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        async with stranger(town, bob, "127.0.9.1", alice.id) as forger:
            forger.say(Post(1, pack_body(Text("", bytes(16), 1, 0, "I am alice"))))
            assert await forger.hear_end() == f"node '{alice.id}' does not have the address '127.0.9.1'"
        assert await bob.texts() == []
        assert bob.messenger.board.refusals.counts == {"hello": 1}

    in_town(tmp_path, story, "alice", "bob")


def test_what_is_no_word_ends_the_connection(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob, mallory = town.people["bob"], await known(town, "mallory")
        wrongs = {
            "a frame of 4294967295 bytes": b"\xff" * 4,
            "not a word of this wire": b"\0\0\0\1\xc1",
            "hello was said already": frame(Hello(VERSION, mallory.id, STREAM)),
        }
        for why, data in wrongs.items():
            async with stranger(town, bob, mallory.address, mallory.id) as wrong:
                wrong.writer.write(data)
                assert (await wrong.hear_end()).startswith(why)
        async with stranger(town, bob, mallory.address) as other:
            other.say(Hello(VERSION + 1, mallory.id, STREAM))
            assert await other.hear_end() == f"version {VERSION + 1} is not spoken here, only {VERSION}"
        async with stranger(town, bob, mallory.address) as other:
            other.say(Ack((1,)))
            assert await other.hear_end() == "hello comes first"

    in_town(tmp_path, story, "bob")


def test_bad_bodies_are_refused_and_good_ones_taken(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob, mallory = town.people["bob"], await known(town, "mallory")
        async with stranger(town, bob, mallory.address, mallory.id) as other:
            bodies = {
                1: b"\xc1",
                2: pack_body(Text("", bytes(16), 2**53, 0, "a sequence that uses up all others")),
                3: pack_body(Text("ab" * 16, bytes(16), 1, 0, "to a group that nobody knows")),
                4: pack_body(MailItem(os.urandom(200))),
                5: pack_body(Text("", bytes(16), 1, 0, "good")),
                6: pack_body(Text("", bytes(16), 2, 0, "another of that id")),
                7: pack_body(Seen("", 1)),
            }
            other.say(*(Post(number, body) for number, body in bodies.items()))
            answers = dict[int, Nack | Ack]()
            while set(answers) != set(bodies):
                word = await other.hear()
                assert isinstance(word, Ack | Nack)
                answers |= dict.fromkeys(word.numbers if isinstance(word, Ack) else (word.number,), word)
            taken = {number for number, answer in answers.items() if isinstance(answer, Ack)}
            assert taken == {5, 6, 7}
            assert [answer.again for answer in answers.values() if isinstance(answer, Nack)].count(True) == 1
            assert await bob.texts(mallory) == ["good"]
            other.say(Post(5, pack_body(Text("", b"x" * 16, 3, 0, "number 5 again"))))
            assert await other.hear() == Ack((5,))
            assert await bob.texts(mallory) == ["good"]

    in_town(tmp_path, story, "bob")


def test_a_flood_holds_up_nobody(tmp_path: Path) -> None:
    """Mallory posts without end, and reads no answer; half-open and silent ones stand around. Alice's messages come,
    and of Mallory's no more is kept than of any stranger's."""

    async def story(town: Town) -> None:
        alice, bob, mallory = town.people["alice"], town.people["bob"], await known(town, "mallory")
        await bob.ask(SetContact(alice.id, "alice"), Contacts)
        async with contextlib.AsyncExitStack() as stack:
            flood = await stack.enter_async_context(stranger(town, bob, mallory.address, mallory.id))
            silent = [
                await stack.enter_async_context(stranger(town, bob, f"127.0.9.{number + 10}")) for number in range(20)
            ]
            half = await stack.enter_async_context(stranger(town, bob, "127.0.9.2"))
            half.writer.write(b"\0\0\1")
            began = time.monotonic()
            flooding = asyncio.create_task(post_for_ever(flood))
            took = []
            for number in range(20):
                asked = time.monotonic()
                sent = await alice.send(bob, f"through {number}")
                await alice.wait_state(sent, "delivered")
                took.append(time.monotonic() - asked)
            assert sorted(took)[10] < 1.0
            for one in (*silent, half):
                assert await one.hear_end() == ""
            assert HELLO_WITHIN_S - 1 < time.monotonic() - began < HELLO_WITHIN_S + 10
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
        assert 0 < len(await bob.history(mallory)) <= MOST_OF_A_STRANGER

    in_town(tmp_path, story, "alice", "bob")


async def post_for_ever(flood: Stranger) -> None:
    number = 0
    with contextlib.suppress(ConnectionError):
        while True:
            texts = (Text("", os.urandom(16), 1, 0, "spam" * 50) for _ in range(100))
            flood.say(*(Post(number := number + 1, pack_body(text)) for text in texts))
            await flood.writer.drain()
            await asyncio.sleep(0)


def test_one_address_holds_few_connections(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob = town.people["bob"]
        async with contextlib.AsyncExitStack() as stack:
            many = [await stack.enter_async_context(stranger(town, bob, "127.0.9.3")) for _ in range(MAX_OF_ONE + 3)]
            for one in many[:MAX_OF_ONE]:
                assert isinstance(await one.hear(), Hello)
            for one in many[MAX_OF_ONE:]:
                assert await one.hear_end() == "too many connections are open: dial again in a moment"
        assert bob.messenger.board.refusals.counts == {"too many": 3}

    in_town(tmp_path, story, "bob")


def test_who_reads_nothing_is_ended_and_noted(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        bob, mallory = town.people["bob"], await known(town, "mallory")
        board = bob.messenger.board
        async with stranger(town, bob, mallory.address, mallory.id):
            await until(lambda: board.link(mallory.id) is not None)
            link = board.link(mallory.id)
            assert link is not None
            for number in range(2 * TAKEN_BY_THE_KERNEL // MAX_CHUNK):
                link.say(Chunk(bytes(16), number * MAX_CHUNK, bytes(MAX_CHUNK)))
            await until(lambda: mallory.id not in board.online)
            assert link._writer.transport.get_write_buffer_size() == 0
        assert board.refusals.counts == {"you do not read what you are sent": 1}

    in_town(tmp_path, story, "bob")


def test_strangers_may_be_refused(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], await town.move_in("bob", strangers="refuse")
        sent = await alice.wait_state(await alice.send(bob, "do you know me?"), "failed")
        assert sent.why == "this node takes messages of its contacts only"
        await bob.ask(SetContact(alice.id, "alice"), Contacts)
        await alice.wait_state(await alice.send(bob, "and now?"), "delivered")
        carol = await town.move_in("carol")
        await bob.send(carol, "I began")
        await carol.wait_text("I began")
        await carol.wait_state(await carol.send(bob, "an answer"), "delivered")

    in_town(tmp_path, story, "alice")


def test_who_writes_much_unanswered_waits_for_an_answer(tmp_path: Path) -> None:
    """The rest waits at the sender, which says why; one word of the other's lets it through."""

    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        sent = [await alice.send(bob, f"unasked {number}") for number in range(MOST_OF_A_STRANGER + 5)]

        def is_held(event: object) -> bool:
            message = getattr(event, "message", None)
            return message is not None and message.number == sent[-1].number and "were not answered" in message.why

        held = await alice.wait(is_held, since=sent[-1].number - 1)
        assert held.message.state == "waiting"  # type: ignore[union-attr]
        assert len(await bob.history(alice)) == MOST_OF_A_STRANGER
        await bob.send(alice, "go on")
        reached = await alice.wait_state(sent[-1], "delivered")
        assert reached.why == ""
        newest = await bob.history(alice, since=(await bob.wait_text(f"unasked {MOST_OF_A_STRANGER - 1}")).number)
        wanted = ["go on", *(f"unasked {number}" for number in range(MOST_OF_A_STRANGER, MOST_OF_A_STRANGER + 5))]
        assert sorted(message.text for message in newest) == sorted(wanted)

    in_town(tmp_path, story, "alice", "bob")
