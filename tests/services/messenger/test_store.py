"""The store keeps what it said it kept: through kill -9 at any moment, through a torn log, through updates."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from services.messenger.errors import MessengerError, StoreError
from services.messenger.schema import STEPS
from services.messenger.store import Store, open_database

WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from services.keys import Identity, NodeId, new_seed
from services.messenger import intake, messages
from services.messenger.book import Book
from services.messenger.change import Own, read_stream
from services.messenger.crypto import open_keys
from services.messenger.model import Text
from services.messenger.store import Store
from services.messenger.wire import Post, pack_body

async def main(folder, peer, first):
    store = Store(folder / "messages.db")
    await store.open()
    stream = await store.write(read_stream)
    own = Own(NodeId("00" * 32), open_keys(folder / "key"), stream, lambda _: "x")
    book = Book(store, own, lambda _: None)
    sys.stdout.write("ready\\n")
    sys.stdout.flush()

    async def take(number):
        text = Text("", number.to_bytes(16, "big"), number, 0, f"theirs {number}")
        posts = [Post(number, pack_body(text))]
        (ack,) = await book.write(lambda change: intake.take_posts(change, peer, bytes(8), posts))
        assert ack.numbers == (number,)
        sys.stdout.write(f"theirs {number}\\n")

    async def say(number):
        await book.write(lambda change: messages.say(change, peer, [peer], f"own {number}"))
        sys.stdout.write(f"own {number}\\n")

    for start in itertools.count(first, 8):
        await asyncio.gather(*(job(n) for n in range(start, start + 8) for job in (take, say)))
        sys.stdout.flush()

asyncio.run(main(Path(sys.argv[1]), NodeId(sys.argv[2]), int(sys.argv[3])))
"""
PEER = "11" * 32
ROUNDS = 6
UNMOVED_LOG = 1000 * 4000
"""Bytes of log from which on SQLite moves it into the store's own file: 1000 pages."""


def write_until_killed(folder: Path, first: int, after_s: float) -> set[str]:
    """What the writer said it had on the disk before it was killed."""
    words = [sys.executable, "-c", WRITER, str(folder), PEER, str(first)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.getcwd()}) as writer:  # noqa: PTH109
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
        lines = writer.stdout.read().decode().split("\n")
    return set(lines[:-1])


def kept(folder: Path) -> tuple[set[str], list[int]]:
    """Others' texts, and how many posts of one's own wait; the whole is looked through."""
    with contextlib.closing(open_database(folder / "messages.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        database.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        theirs = [row[0] for row in database.execute("SELECT text FROM messages WHERE NOT is_mine")]
        assert len(theirs) == len(set(theirs))
        (upto,) = database.execute("SELECT coalesce(max(upto), 0) FROM taken").fetchone()
        assert upto == len(theirs), "what was taken and what is known to be taken are one"
        numbers = [row[0] for row in database.execute("SELECT number FROM outbox ORDER BY number")]
        (own,) = database.execute("SELECT count(*) FROM messages WHERE is_mine").fetchone()
        assert numbers == list(range(1, own + 1)), "every message of one's own waits in the outbox, by its number"
        return set(theirs), numbers


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """The same store, again and again."""
    said: set[str] = set()
    dice = random.Random(11)
    for _ in range(ROUNDS):
        theirs, _ = kept(tmp_path) if (tmp_path / "messages.db").exists() else (set(), [])
        said |= write_until_killed(tmp_path, len(theirs) + 1, dice.uniform(0.02, 0.25))
    theirs, numbers = kept(tmp_path)
    acknowledged = {text for text in said if text.startswith("theirs")}
    assert len(acknowledged) > 50
    assert acknowledged <= theirs
    assert len(numbers) >= len(said - acknowledged)


def test_a_torn_log(tmp_path: Path) -> None:
    """Whatever a power cut leaves of the log, the rest is whole: it is cut or scrambled at random points, as long as
    nothing of it went into the store's own file, which is only done with what was made sure of.
    """
    for after_s in (0.3, 0.1, 0.03):
        source = tmp_path / f"{after_s}"
        said = write_until_killed(source, 1, after_s)
        log = (source / "messages.db-wal").read_bytes()
        if len(log) < UNMOVED_LOG:
            break
    assert said
    assert 50_000 < len(log) < UNMOVED_LOG
    theirs, _ = kept_copy(source, tmp_path / "whole", lambda _: None)
    assert {text for text in said if text.startswith("theirs")} <= theirs
    dice = random.Random(12)
    for number in range(8):
        at = dice.randrange(32, len(log))

        def tear(path: Path, at: int = at, cut: bool = number % 2 == 0) -> None:
            data = log[:at] if cut else log[:at] + dice.randbytes(min(4096, len(log) - at)) + log[at + 4096 :]
            path.write_bytes(data)

        found, _ = kept_copy(source, tmp_path / f"torn-{number}", tear)
        assert found <= theirs


def kept_copy(source: Path, copy: Path, tear: Any) -> tuple[set[str], list[int]]:
    shutil.copytree(source, copy)
    tear(copy / "messages.db-wal")
    return kept(copy)


def test_acknowledged_before_the_log_was_torn(tmp_path: Path) -> None:
    """What a commit has returned for lies in the log as it was then; whatever follows is torn off at any byte."""

    async def write() -> tuple[int, bytes]:
        store = Store(tmp_path / "messages.db")
        await store.open()
        for number in range(20):
            await store.write(lambda db: db.execute("INSERT INTO meta VALUES (?, 'x')", (f"sure {number}",)).rowcount)  # noqa: B023
        sure = (tmp_path / "messages.db-wal").stat().st_size
        for number in range(20):
            await store.write(lambda db: db.execute("INSERT INTO meta VALUES (?, 'x')", (f"later {number}",)).rowcount)  # noqa: B023
        shutil.copy(tmp_path / "messages.db", tmp_path / "copy")
        log = (tmp_path / "messages.db-wal").read_bytes()
        await store.close()
        return sure, log

    sure, log = asyncio.run(write())
    assert 0 < sure < len(log)
    dice = random.Random(13)
    for at in [sure, *(dice.randrange(sure, len(log)) for _ in range(10))]:
        shutil.copy(tmp_path / "copy", tmp_path / "torn.db")
        (tmp_path / "torn.db-wal").write_bytes(log[:at] + dice.randbytes(dice.randrange(2000)))
        with contextlib.closing(open_database(tmp_path / "torn.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            found = {row[0] for row in database.execute("SELECT name FROM meta")}
        assert {f"sure {number}" for number in range(20)} <= found
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"torn.db{suffix}").unlink(missing_ok=True)


def test_every_former_version_is_brought_up(tmp_path: Path) -> None:
    for version in range(1, len(STEPS) + 1):
        path = tmp_path / f"{version}.db"
        with contextlib.closing(sqlite3.connect(path)) as old:
            for step in STEPS[:version]:
                old.executescript(step)
            old.execute("INSERT INTO meta VALUES ('stream', x'0102030405060708')")
            old.execute(f"PRAGMA user_version = {version}")
            old.commit()
        with contextlib.closing(open_database(path)) as database:
            assert database.execute("PRAGMA user_version").fetchone()[0] == len(STEPS)
            assert database.execute("SELECT value FROM meta").fetchone()[0] == bytes(range(1, 9))
            assert database.execute("SELECT count(*) FROM mailboxes").fetchone()[0] == 0


def test_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(open_database(tmp_path / "a.db")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="of a newer messenger"):
        open_database(tmp_path / "a.db")


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database, but text of some length" * 100)
    with pytest.raises(StoreError, match="cannot be read or written"):
        open_database(tmp_path / "a.db")


def test_commits_are_shared_and_failures_are_not(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store(tmp_path / "a.db")
        await store.open()
        before = store.commits

        def job(number: int) -> Any:
            def run(database: sqlite3.Connection) -> int:
                database.execute("INSERT INTO meta VALUES (?, 'x')", (str(number),))
                if number % 10 == 3:
                    raise MessengerError("no")
                return number

            return run

        settings = [
            await store.write(lambda db: db.execute(f"PRAGMA {name}").fetchone()[0])  # noqa: B023
            for name in ("journal_mode", "synchronous")
        ]
        assert settings == ["wal", 2]
        results = await asyncio.gather(*(store.submit(job(n)) for n in range(500)), return_exceptions=True)
        assert store.commits - before < 100, "many share a commit"
        assert [n for n, result in enumerate(results) if isinstance(result, MessengerError)] == list(range(3, 500, 10))
        count = await store.read(lambda database: database.execute("SELECT count(*) FROM meta").fetchone()[0])
        assert count == 450
        await store.close()
        with pytest.raises(StoreError, match="is not open"):
            await store.write(job(1))
        assert (tmp_path / "a.db").stat().st_mode & 0o777 == 0o600

    asyncio.run(story())


def test_a_full_disk_is_told_and_survived(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store(tmp_path / "a.db")
        await store.open()
        await store.write(lambda database: database.execute("PRAGMA max_page_count = 60").fetchone())

        def much(database: sqlite3.Connection) -> int:
            return database.execute("INSERT INTO meta VALUES ('much', zeroblob(1000000))").rowcount

        with pytest.raises(StoreError, match="full"):
            await store.write(much)
        one = "INSERT INTO meta VALUES ('little', 'x')"
        assert await store.write(lambda database: database.execute(one).rowcount) == 1
        await store.close()

    asyncio.run(story())
