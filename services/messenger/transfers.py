"""Moves the bytes of files: fetches what was accepted, goes on where it stopped, and hands out what others fetch.

A file that comes is written under its id with `.part`, made sure of every few megabytes, and is renamed once the
BLAKE2b of the whole is what was offered; whatever a power cut left wrong is found by it, and fetched again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from typing import NamedTuple

from services.keys import NodeId
from services.manager.ending import end_tasks
from services.messenger import files
from services.messenger.book import Book
from services.messenger.change import Change
from services.messenger.errors import MessengerError, StoreError, UnreachableError
from services.messenger.file_store import FileStore, Part
from services.messenger.files import Moving
from services.messenger.link import Link
from services.messenger.switchboard import Switchboard
from services.messenger.wire import MAX_CHUNK, MAX_STRETCH, Chunk, Fetch, Gone, Word

log = logging.getLogger(__name__)

CHUNK_WITHIN_S = 20.0
TOLD_EVERY_S, SYNC_EVERY = 0.5, 8 << 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
MOST_AT_ONCE = 4
TRIES = 3


class _GoneError(MessengerError):
    """The sender does not have it any more."""


class _Awaited(NamedTuple):
    link: Link
    words: asyncio.Queue[Chunk | Gone | None]


class Transfers:
    def __init__(self, board: Switchboard, book: Book, store: FileStore) -> None:
        self._board, self._book, self._store = board, book, store
        self._tasks: dict[tuple[bytes, NodeId], asyncio.Task[None]] = {}
        self._awaited: dict[tuple[bytes, NodeId], _Awaited] = {}
        self._giving: dict[Link, set[asyncio.Task[None]]] = {}
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._came_up = asyncio.Event()

    def fetch(self, file: bytes, peer: NodeId) -> None:
        key = (file, peer)
        if key not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._fetch(file, peer))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: tuple[bytes, NodeId], task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("file '%s' is not fetched", key[0].hex(), exc_info=task.exception())

    def drop(self, file: bytes) -> None:
        """Nobody wants its bytes any more."""
        for (id_, _), task in list(self._tasks.items()):
            if id_ == file:
                task.cancel()
        self._store.forget(file)

    async def close(self) -> None:
        giving = [task for tasks in self._giving.values() for task in tasks]
        await end_tasks([*self._tasks.values(), *giving])

    # what comes here

    async def _fetch(self, file: bytes, peer: NodeId) -> None:
        pause_s, tries = FIRST_PAUSE_S, TRIES
        while (moving := await self._book.read(lambda change: files.moving(change, file, peer))) is not None:
            why = ""
            try:
                async with self._places:
                    if await self._fetch_once(moving):
                        return
                tries -= 1
                why = "" if tries else "what came is not what was offered"
            except _GoneError as error:
                why = str(error)
            except (UnreachableError, OSError) as error:
                log.debug("file '%s' of '%s' waits: %s", file.hex(), peer, error or "silent")
                await self._stage(moving, "waiting", str(error) or "the other end is silent")
                self._came_up.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s * random.uniform(0.8, 1.2)):  # noqa: S311
                        await self._came_up.wait()
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            except StoreError as error:
                why = str(error)
            if why:
                await self._book.write(lambda change: files.finish(change, file, peer, why))  # noqa: B023
                self._store.forget(file)

    async def _fetch_once(self, moving: Moving) -> bool:
        """Whether it is all here, and what was offered. Raises _GoneError, UnreachableError, OSError, StoreError."""
        link = self._board.link(moving.peer) or await self._board.dial(moving.peer)
        words: asyncio.Queue[Chunk | Gone | None] = asyncio.Queue()
        key = (moving.id, moving.peer)
        self._awaited[key] = _Awaited(link, words)
        part = await asyncio.to_thread(self._store.open_part, moving.id, moving.size)
        try:
            await self._stage(moving, "moving", done=part.size)
            await self._fill(part, moving, link, words)
            if not await asyncio.to_thread(part.keep, moving.digest):
                return False
        finally:
            part.close()
            del self._awaited[key]
        await self._book.write(lambda change: files.finish(change, moving.id, moving.peer))
        return True

    async def _fill(self, part: Part, moving: Moving, link: Link, words: asyncio.Queue[Chunk | Gone | None]) -> None:
        told_at, synced = time.monotonic(), part.size
        while part.size < moving.size:
            upto = min(moving.size, part.size + MAX_STRETCH)
            link.say(Fetch(moving.id, part.size, upto - part.size))
            while part.size < upto:
                async with asyncio.timeout(CHUNK_WITHIN_S):
                    word = await words.get()
                if word is None:
                    raise ConnectionResetError("the connection ended")
                if isinstance(word, Gone):
                    raise _GoneError(f"its sender says: {word.why!a}")
                if word.offset != part.size or part.size + len(word.data) > upto:
                    link.end("that is not what was fetched")
                    raise ConnectionAbortedError("other bytes came than were fetched")
                await asyncio.to_thread(part.write, word.data)
            if part.size - synced >= SYNC_EVERY:
                synced = part.size
                await asyncio.to_thread(part.sync)
            if time.monotonic() - told_at > TOLD_EVERY_S:
                told_at = time.monotonic()
                await self._stage(moving, "moving", done=part.size)

    async def _stage(self, moving: Moving, stage: str, why: str = "", done: int | None = None) -> None:
        """Unless something else became of it meanwhile."""

        def job(change: Change) -> None:
            if files.moving(change, moving.id, moving.peer) is not None:
                files.set_stage(change, moving.id, moving.peer, stage, done=done, why=why[:200])

        await self._book.write(job)

    # words of links

    def hear(self, link: Link, word: Word) -> None:
        if isinstance(word, Fetch):
            giving = self._giving.setdefault(link, set())
            if len(giving) >= MOST_AT_ONCE:
                link.say(Gone(word.file, "you fetch too much at once"))
                return
            task = asyncio.get_running_loop().create_task(self._give(link, word))
            giving.add(task)
            task.add_done_callback(giving.discard)
        elif isinstance(word, Chunk | Gone):
            awaited = self._awaited.get((word.file, link.peer))
            if awaited is not None and awaited.link is link and awaited.words.qsize() * MAX_CHUNK <= 2 * MAX_STRETCH:
                awaited.words.put_nowait(word)

    def link_up(self) -> None:
        self._came_up.set()

    def link_down(self, link: Link) -> None:
        for awaited in self._awaited.values():
            if awaited.link is link:
                awaited.words.put_nowait(None)
        for task in self._giving.pop(link, ()):
            task.cancel()

    async def _give(self, link: Link, word: Fetch) -> None:
        size = await self._book.write(lambda change: files.fetched(change, word.file, link.peer, word.offset))
        if size is None or word.offset + word.count > size:
            link.say(Gone(word.file, "it is not to be had, or not so much of it"))
            return
        try:
            async for offset, data in self._store.stretch(word.file, word.offset, word.count):
                link.say(Chunk(word.file, offset, data))
                await link.drained()
            if word.offset + word.count == size:
                return
        except StoreError as error:
            link.say(Gone(word.file, str(error)[:200]))
        except OSError:
            link.end("you do not read what you fetch")
