"""Files: offered, accepted, fetched, gone on with after a cut, refused, and found to be wrong."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.messenger.api_words import (
    MAX_FILE,
    AcceptFile,
    FetchFile,
    Files,
    FileState,
    GetFiles,
    Moved,
    RefuseFile,
    SendFile,
)
from services.messenger.change import Change
from services.messenger.errors import AskedWronglyError, StoreError
from services.messenger.file_store import new_hash
from services.messenger.model import FileOffer, Text
from tests.services.messenger.test_talk import in_town
from tests.services.messenger.town import Person, Town

BYTES = random.Random(5).randbytes(3_000_000)


async def chunks(data: bytes, size: int = 60_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def offer(one: Person, to: Person, name: str, data: bytes) -> FileState:
    """As the receiver sees it."""
    sent = await one.desk.send_file(SendFile(to.id, name, len(data)), chunks(data))
    assert sent.message.file is not None
    assert sent.message.file.stage == "offered"
    message = await to.wait_text(name)
    assert message.file is not None
    return message.file


async def wait_stage(person: Person, file: FileState, stage: str, done: int = 0) -> FileState:
    """Until it is in that stage, with at least so many bytes."""

    def so(found: FileState) -> bool:
        return found.id == file.id and found.stage == stage and found.done_bytes >= done

    async with asyncio.timeout(20):
        watching = asyncio.create_task(
            person.wait(lambda event: isinstance(event, Moved) and so(event.file), since=None)
        )
        while not watching.done():
            for found in (await person.ask(GetFiles(), Files)).files:
                if so(found):
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
                    return found
            await asyncio.wait({watching}, timeout=0.5)
    event = watching.result()
    assert isinstance(event, Moved)
    return event.file


async def fetched(person: Person, file: FileState) -> bytes:
    state, parts = await person.desk.fetch_file(FetchFile(file.id[:8]))
    data = b"".join([part async for part in parts])
    assert len(data) == state.size
    return data


def test_a_file_is_offered_accepted_and_there(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        file = await offer(alice, bob, "a photo.jpg", BYTES)
        assert (file.name, file.size, file.is_mine, file.stage) == ("a photo.jpg", len(BYTES), False, "offered")
        with pytest.raises(AskedWronglyError, match="not here as a whole"):
            await fetched(bob, file)
        await bob.ask(AcceptFile(file.id[:6]), Files)
        await wait_stage(bob, file, "done", len(BYTES))
        assert await fetched(bob, file) == BYTES
        await wait_stage(alice, file, "done")
        assert not alice.messenger.file_store.path(bytes.fromhex(file.id)).exists(), "the sender keeps it no longer"

    in_town(tmp_path, story, "alice", "bob")


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The sender is stopped in the middle and started again, and then the receiver; nothing is fetched twice."""

    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        data = BYTES * 8
        file = await offer(alice, bob, "big", data)
        await bob.ask(AcceptFile(file.id), Files)
        part = bob.messenger.file_store.path(bytes.fromhex(file.id)).with_suffix(".part")
        for person in (alice, bob):
            before = part.stat().st_size if part.exists() else 0
            async with asyncio.timeout(20):
                while not part.exists() or part.stat().st_size <= before + 1_000_000:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            await person.stop()
            assert part.stat().st_size < len(data)
            await person.start()
        kept = part.stat().st_size
        assert kept > 2_000_000
        await wait_stage(bob, file, "done")
        assert hashlib.sha256(await fetched(bob, file)).digest() == hashlib.sha256(data).digest()

    in_town(tmp_path, story, "alice", "bob")


def test_what_a_power_cut_left_wrong_is_fetched_again(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        file = await offer(alice, bob, "big", BYTES)
        store = bob.messenger.file_store
        part = store.open_part(bytes.fromhex(file.id), len(BYTES))
        part.write(BYTES[:1_000_000] + bytes(500_000))
        part.close()
        await bob.ask(AcceptFile(file.id), Files)
        await wait_stage(bob, file, "done")
        assert await fetched(bob, file) == BYTES

    in_town(tmp_path, story, "alice", "bob")


def test_a_sender_who_lies_about_the_hash(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        file = await offer(alice, bob, "lie", BYTES[:200_000])
        path = alice.messenger.file_store.path(bytes.fromhex(file.id))
        path.write_bytes(bytes(200_000))
        await bob.ask(AcceptFile(file.id), Files)
        failed = await wait_stage(bob, file, "failed")
        assert failed.why == "what came is not what was offered"
        await wait_stage(alice, file, "refused")

    in_town(tmp_path, story, "alice", "bob")


def test_it_is_refused_from_either_end(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        for refuser, other in ((bob, alice), (alice, bob)):
            file = await offer(alice, bob, f"by {refuser.name}", BYTES[:1000])
            await refuser.ask(RefuseFile(file.id), Files)
            await wait_stage(other, file, "refused")
        assert not list((alice.config.card / "files").iterdir())
        with pytest.raises(AskedWronglyError, match="no file is called so"):
            await bob.ask(AcceptFile("00ff"), Files)

    in_town(tmp_path, story, "alice", "bob")


def test_another_file_under_the_same_nonce(tmp_path: Path) -> None:
    """Carol saw the nonce of Alice's offer, as a member of a group does, and offers bytes of her own under it."""

    async def story(town: Town) -> None:
        alice, bob, carol = (town.people[name] for name in ("alice", "bob", "carol"))
        file = await offer(alice, bob, "the good one", BYTES[:100_000])
        await bob.ask(AcceptFile(file.id), Files)
        await wait_stage(bob, file, "done")
        (nonce,) = await alice.messenger.book.read(lambda change: change.one("SELECT nonce FROM messages"))

        def forge(change: Change) -> None:
            for number in (1, 2):
                id_ = bytes([number]) * 16
                change.post(bob.id, FileOffer("", id_, number, 0, nonce, f"the bad one {number}", 5, bytes(32)))
            change.post(bob.id, Text("", b"3" * 16, 3, 0, "done"))

        await carol.messenger.book.write(forge)
        await bob.wait_text("done")
        assert await bob.texts(carol) == ["the bad one 1", "done"], "the same twice is refused"
        (bad, *others) = [found for found in (await bob.ask(GetFiles(), Files)).files if found.node_id == carol.id]
        assert not others
        assert bad.id != file.id
        await bob.ask(AcceptFile(bad.id), Files)
        await wait_stage(bob, bad, "failed")
        assert await fetched(bob, file) == BYTES[:100_000]

    in_town(tmp_path, story, "alice", "bob", "carol")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", ".bashrc", "a\nb", "", "x" * 300, "a\\b"])
def test_names_that_are_paths(name: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        with pytest.raises(AskedWronglyError, match="is no file's name"):
            await alice.desk.send_file(SendFile(bob.id, name, 1), chunks(b"x"))
        with pytest.raises(AskedWronglyError, match="at most 100000000 bytes"):
            await alice.desk.send_file(SendFile(bob.id, "ok", MAX_FILE + 1), chunks(b"x"))

    in_town(tmp_path, story, "alice", "bob")


def test_a_file_that_ends_early_is_forgotten(tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        alice, bob = town.people["alice"], town.people["bob"]
        with pytest.raises(StoreError, match="5 bytes came of 10"):
            await alice.desk.send_file(SendFile(bob.id, "short", 10), chunks(b"12345"))
        assert not list((alice.config.card / "files").iterdir())
        assert await alice.texts() == []

    in_town(tmp_path, story, "alice", "bob")


def test_the_hash_is_blake2b_of_the_whole() -> None:
    known = hashlib.blake2b(BYTES, digest_size=32, person=b"skywire file").digest()
    made = new_hash()
    made.update(BYTES)
    assert made.digest() == known
