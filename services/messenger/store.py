"""The store's file and its two threads: one writes, one reads. Rows and what they mean live elsewhere.

A write is a function of a connection. Those that wait run together in one transaction (group commit) and return once
that lies on the disk (WAL, synchronous=FULL): what was answered survives a power cut, what was not is there as a whole
or not at all. One that raises is undone alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from services.messenger.errors import StoreError
from services.messenger.schema import STEPS

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

MOST_TOGETHER = 256
MAX_WAITING = 20_000
BUSY_S = 5.0
CACHE_KIB = 1024
WAL_BYTES = 4 << 20

_Task = tuple[Job[Any], asyncio.Future[Any]]


class Store:
    """`commits` counts transactions, for whoever measures."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: threading.Thread | None = None
        self._reading = ThreadPoolExecutor(1, "messenger-reader")
        self._reader: sqlite3.Connection | None = None
        self.commits = 0

    async def open(self) -> None:
        """Raises StoreError."""
        self._loop = asyncio.get_running_loop()
        database = await asyncio.to_thread(open_database, self._path)
        self._reader = await self._loop.run_in_executor(self._reading, _connect, self._path)
        self._writer = threading.Thread(target=self._write_all, args=(database,), name="messenger-writer", daemon=True)
        self._writer.start()

    async def close(self) -> None:
        """What waits is written first."""
        if self._writer is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._writer.join)
            self._writer = None
        if self._reader is not None:
            await asyncio.get_running_loop().run_in_executor(self._reading, self._reader.close)
            self._reader = None
        self._reading.shutdown(wait=False)

    def submit(self, job: Job[T]) -> asyncio.Future[T]:
        """Takes its place now. The future raises what the job raised, or StoreError."""
        if self._writer is None or self._loop is None:
            raise StoreError(f"'{self._path}' is not open")
        if self._jobs.qsize() > MAX_WAITING:
            raise StoreError(f"more than {MAX_WAITING} writes wait for the disk: try again")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((job, future))
        return future

    async def write(self, job: Job[T]) -> T:
        """Returns once it lies on the disk."""
        return await self.submit(job)

    async def read(self, job: Job[T]) -> T:
        """Sees all whose write has returned. Raises StoreError."""
        assert self._loop is not None
        return await self._loop.run_in_executor(self._reading, self._read, job)

    def _read(self, job: Job[T]) -> T:
        if self._reader is None:
            raise StoreError(f"'{self._path}' is closed")
        try:
            return job(self._reader)
        except sqlite3.Error as error:
            raise told(self._path, error) from None

    # the writer's thread

    def _write_all(self, database: sqlite3.Connection) -> None:
        ended = False
        while not ended:
            tasks, ended = self._next()
            if tasks:
                results = self._commit(database, [job for job, _ in tasks])
                self._settle([(future, result) for (_, future), result in zip(tasks, results, strict=True)])
        with contextlib.suppress(sqlite3.Error):
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()

    def _next(self) -> tuple[list[_Task], bool]:
        tasks: list[_Task] = []
        task = self._jobs.get()
        while task is not None:
            tasks.append(task)
            if len(tasks) >= MOST_TOGETHER:
                return tasks, False
            try:
                task = self._jobs.get_nowait()
            except queue.Empty:
                return tasks, False
        return tasks, True

    def _commit(self, database: sqlite3.Connection, jobs: list[Job[Any]]) -> list[Any]:
        try:
            database.execute("BEGIN IMMEDIATE")
            results = [_run(database, job) for job in jobs]
            database.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            return [told(self._path, error)] * len(jobs)
        self.commits += 1
        return results

    def _settle(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(_tell, results)


def _run(database: sqlite3.Connection, job: Job[Any]) -> Any:
    """Its result, or what it raised."""
    database.execute("SAVEPOINT one")
    try:
        result = job(database)
    except sqlite3.OperationalError:  # disk full and the like end the whole transaction
        raise
    except Exception as error:
        database.execute("ROLLBACK TO one")
        result = error
    database.execute("RELEASE one")
    return result


def _tell(results: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in results:
        if future.cancelled():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def told(path: Path, error: BaseException) -> StoreError:
    return StoreError(f"the messages in '{path}' cannot be read or written: {error} (is there space on the disk?)")


def open_database(path: Path) -> sqlite3.Connection:
    """With the tables of this version. Raises StoreError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        database = _connect(path)
        _migrate(database, path)
    except (OSError, sqlite3.Error) as error:
        raise told(path, error) from None
    return database


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    for setting in (
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"journal_size_limit = {WAL_BYTES}",
        f"cache_size = -{CACHE_KIB}",
        "temp_store = MEMORY",
    ):
        database.execute(f"PRAGMA {setting}")
    return database


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(STEPS):
        raise StoreError(
            f"'{path}' is of a newer messenger (version {version}, this one knows {len(STEPS)}): update this board"
        )
    for number, step in enumerate(STEPS[version:], version + 1):
        database.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")
