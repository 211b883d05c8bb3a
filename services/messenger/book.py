"""The store with what its changes lead to: whoever asks gives a function of a Change, and once that lies on the disk,
its effects are carried out, in the order of the changes.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from services.messenger.change import Change, Effects, Own
from services.messenger.store import Store

T = TypeVar("T")


class Book:
    def __init__(self, store: Store, own: Own, carry_out: Callable[[Effects], None]) -> None:
        self._store, self.own, self._carry_out = store, own, carry_out

    def submit(self, job: Callable[[Change], T]) -> asyncio.Future[tuple[T, Effects]]:
        """Takes its place now. Raises StoreError."""

        def run(database: sqlite3.Connection) -> tuple[T, Effects]:
            change = Change(database, self.own)
            return job(change), change.effects

        future = self._store.submit(run)
        future.add_done_callback(self._done)
        return future

    def _done(self, future: asyncio.Future[tuple[T, Effects]]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._carry_out(future.result()[1])

    async def write(self, job: Callable[[Change], T]) -> T:
        """Returns once it lies on the disk. Raises what the job raises, or StoreError."""
        return (await asyncio.shield(self.submit(job)))[0]

    async def read(self, job: Callable[[Change], T]) -> T:
        """Sees all whose write has returned."""
        return await self._store.read(lambda database: job(Change(database, self.own)))
