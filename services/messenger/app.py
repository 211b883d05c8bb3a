"""The messenger as a whole: what links bring goes into the store, what lies in the store goes out. It asks nobody who
is at an address and how to reach whom: that is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from services.keys import NodeId
from services.manager.ending import end_tasks
from services.messenger import delivery, files, intake, mailbox, upkeep
from services.messenger.api_words import Presence
from services.messenger.book import Book
from services.messenger.boxing import Boxer
from services.messenger.change import Change, Effects, Own, Posted, read_stream
from services.messenger.config import Config
from services.messenger.crypto import open_keys, read_vouch
from services.messenger.errors import PeerKeyError, StoreError, WireError
from services.messenger.file_store import FileStore
from services.messenger.hub import Hub
from services.messenger.link import Link
from services.messenger.names import Directory, Names
from services.messenger.outbox import Outbox
from services.messenger.store import Store, open_database
from services.messenger.switchboard import Switchboard, Ways
from services.messenger.transfers import Transfers
from services.messenger.wire import VERSION, Ack, Chunk, Deposit, Deposited, Fetch, Gone, Hello, Nack, Post, Word

log = logging.getLogger(__name__)

ROUND_S, TIDY_EACH = 300.0, 12
MOST_KEEPING = 128
"""Deposits of one link that may wait for the disk."""

STORE, KEY, FILES = "messages.db", "key", "files"


class Messenger:
    """`open` first, then `listen` as often as the address is there."""

    def __init__(self, config: Config, ways: Ways, directory: Directory) -> None:
        self.config = config
        self.hub, self.names = Hub(), Names(directory)
        self._store = Store(config.card / STORE)
        self.file_store = FileStore(config.card / FILES)
        self.board = Switchboard(ways, self._hello, self)
        self._upkeep: asyncio.Task[None] | None = None
        self._topics: dict[str, asyncio.Event] = {}
        self._heard: dict[NodeId, tuple[bytes, str]] = {}
        self.book: Book
        self.outbox: Outbox
        self.boxer: Boxer
        self.transfers: Transfers

    @property
    def own(self) -> Own:
        return self.book.own

    @property
    def store_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._paths() if path.exists())

    def _paths(self) -> list[Path]:
        return [self.config.card / f"{STORE}{end}" for end in ("", "-wal")]

    # life

    async def open(self, me: NodeId) -> None:
        """Raises StoreError, SeedFileError."""
        keys = await asyncio.to_thread(open_keys, self.config.card / KEY)
        await self._store.open()
        owner, stream = await self._store.write(lambda database: (_owner(database, me), read_stream(database)))
        if owner != me:
            await self._store.close()
            raise StoreError(
                f"'{self.config.card}' holds the messages of node '{owner}', and this is '{me}': move it away"
            )
        own = Own(
            me,
            keys,
            stream,
            self.names.of,
            is_watched=lambda: len(self.hub) > 0,
            refuses_strangers=self.config.strangers == "refuse",
        )
        self.book = Book(self._store, own, self._carry_out)
        self.boxer = Boxer(self.board, self.book)
        self.outbox = Outbox(self.board, self._waiting, self._box)
        self.transfers = Transfers(self.board, self.book, self.file_store)
        await self.names.load(self.book)
        await self._begin()

    async def _begin(self) -> None:
        known = await self.book.read(files.all_ids)
        await asyncio.to_thread(self.file_store.tidy, known)
        for peer in await self.book.read(delivery.peers_waited_for):
            self.outbox.call(peer)
        for file, peer in await self.book.read(files.to_fetch):
            self.transfers.fetch(file, peer)
        self._upkeep = asyncio.get_running_loop().create_task(self._keep_up())

    async def listen(self, address: str, port: int) -> int:
        """Raises OSError."""
        return await self.board.listen(address, port)

    async def close(self) -> None:
        """What was answered lies on the disk already."""
        if self._upkeep is not None:
            await end_tasks([self._upkeep])
            await self.outbox.close()
            await self.transfers.close()
        await self.board.close()
        await self._store.close()

    def set_vouch(self, signed: bytes) -> None:
        """The node's word for the key; told in each hello from now on."""
        self.own.vouch = signed

    def _hello(self) -> Hello:
        return Hello(VERSION, self.own.me, self.own.stream, self.own.vouch)

    async def _keep_up(self) -> None:
        for rounds in itertools.count():
            for (keeper,) in await self.book.read(lambda change: change.all("SELECT node_id FROM mailboxes")):
                if self.board.link(keeper) is None:
                    self.outbox.call(keeper)
            if rounds % TIDY_EACH == 1:
                await self.tidy()
            await asyncio.sleep(ROUND_S)

    async def tidy(self) -> None:
        try:
            keep = (self.config.keep_messages, self.config.keep_days)
            while await self.book.write(lambda change: upkeep.tidy(change, *keep)):
                pass
        except StoreError as error:
            log.warning("old messages are forgotten later: %s", error)

    # effects of changes

    def _carry_out(self, effects: Effects) -> None:
        self.names.know_groups(effects.groups)
        for posted in effects.posts:
            self.outbox.post(posted)
        for event in effects.events:
            self.hub.tell(event)
        for file, peer in effects.fetch:
            self.transfers.fetch(file, peer)
        for file in effects.drop:
            self.transfers.drop(file)
        for topic in effects.topics:
            self.topic(topic).set()

    def topic(self, name: str) -> asyncio.Event:
        """Set when a note of that topic came."""
        return self._topics.setdefault(name, asyncio.Event())

    async def _waiting(self, peer: NodeId, after: int, limit: int) -> list[Posted]:
        return await self.book.read(lambda change: delivery.waiting(change, peer, after, limit))

    async def _box(self, peer: NodeId) -> None:
        if self.config.mailboxes:
            await self.boxer.box(peer)

    # what links bring

    def take(self, link: Link, posts: Sequence[Post]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stream, key = link.hello.stream, self._key_of(link)

        def answer(future: asyncio.Future[tuple[list[Ack | Nack], Effects]]) -> None:
            if done.cancelled():
                return
            if future.cancelled() or future.exception() is not None:
                done.set_exception(StoreError("not written down"))
                return
            for word in future.result()[0]:
                link.say(word)
            self.outbox.encourage(link.peer)
            done.set_result(None)

        try:
            future = self.book.submit(lambda change: intake.take_posts(change, link.peer, stream, posts, key))
        except StoreError as error:
            done.set_exception(error)
        else:
            future.add_done_callback(answer)
        return done

    def hear(self, link: Link, word: Word) -> None:
        match word:
            case Ack():
                numbers = [number for number in word.numbers if self.outbox.answered(link.peer, number)]
                if numbers:
                    self._write(lambda change: delivery.arrived(change, link.peer, numbers))
            case Nack():
                settle = delivery.held if word.again else delivery.refused
                if self.outbox.answered(link.peer, word.number, again=word.again):
                    self._write(lambda change: settle(change, link.peer, word.number, word.why))
            case Deposit():
                self._keep(link, word)
            case Deposited():
                self.boxer.hear(link, word)
            case Fetch() | Chunk() | Gone():
                self.transfers.hear(link, word)
            case _:
                raise WireError(f"'{type(word).__name__}' may not be said here")

    def _write(self, job: Callable[[Change], object]) -> None:
        """What a peer's answer leads to; should it be lost, the peer answers again."""
        try:
            self.book.submit(job).add_done_callback(_log)
        except StoreError as error:
            log.warning("%s", error)

    def _keep(self, link: Link, word: Deposit) -> None:
        def answer(future: asyncio.Future[tuple[str, Effects]]) -> None:
            link.keeping -= 1
            failed = future.cancelled() or future.exception() is not None
            link.say(Deposited(word.ticket, "it cannot be written down here now" if failed else future.result()[0]))

        if link.keeping >= MOST_KEEPING:
            link.say(Deposited(word.ticket, "too much at once"))
            return
        try:
            future = self.book.submit(lambda change: mailbox.deposit(change, word))
        except StoreError as error:
            link.say(Deposited(word.ticket, str(error)[:200]))
        else:
            link.keeping += 1
            future.add_done_callback(answer)

    def link_up(self, link: Link) -> None:
        self.outbox.wake(link.peer)
        self.transfers.link_up()
        self.hub.tell(Presence(link.peer, is_online=True))
        if link.hello.key and self._heard.get(link.peer, (b"", ""))[0] != link.hello.key:
            try:
                self._heard[link.peer] = (link.hello.key, read_vouch(link.hello.key, link.peer))
            except PeerKeyError as error:
                self.board.refusals.note("key", str(error))
        key = self._key_of(link)
        self._write(lambda change: intake.remember(change, link.peer, key))

    def _key_of(self, link: Link) -> str:
        """Of the peer's messenger, vouched for; empty where it is not."""
        said, key = self._heard.get(link.peer, (b"", ""))
        return key if said == link.hello.key else ""

    def link_down(self, link: Link) -> None:
        self.outbox.wake(link.peer)
        self.boxer.link_down(link)
        self.transfers.link_down(link)
        if self.board.link(link.peer) is None:
            self._heard.pop(link.peer, None)
            self.hub.tell(Presence(link.peer, is_online=False))


def known_owner(path: Path) -> NodeId | None:
    """Of a store that is there already, so that the node need not be asked. Raises StoreError."""
    if not path.exists():
        return None
    with contextlib.closing(open_database(path)) as database:
        row = database.execute("SELECT value FROM meta WHERE name = 'node_id'").fetchone()
    return NodeId(row[0]) if row else None


def _owner(database: sqlite3.Connection, me: NodeId) -> NodeId:
    """Whose messages these are."""
    database.execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('node_id', ?)", (me,))
    return NodeId(database.execute("SELECT value FROM meta WHERE name = 'node_id'").fetchone()[0])


def _log(future: asyncio.Future[tuple[object, Effects]]) -> None:
    if not future.cancelled() and future.exception() is not None:
        log.warning("%s", future.exception())
