"""Keeps hearing of buckets: what is there, then every change, also after the bus was away. What it means is not known
here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from services.manager.ending import end_tasks
from services.manager.errors import BusError, ManagerError
from services.manager.store import Store

log = logging.getLogger(__name__)

Take = Callable[[str, bytes | None], None]
"""Given a key, and its value or None where it was deleted. Raises ManagerError for what it refuses."""

Follow = Callable[[Callable[[], None]], AsyncIterator[tuple[str, bytes | None]]]
"""Given what to call between what is there and what comes (`store.follow`)."""

LISTED_WITHIN_S = 60.0
STEP_WITHIN_S = 8.0
AGAIN_S = 1.0
ANEW_S = 600.0
"""Also without a reason: a consumer whose server died without a word is one that says nothing."""


class Following:
    """Some buckets, followed as one; none before the start."""

    def __init__(self) -> None:
        self._followed: list[Followed] = []

    async def start(self, store: Store, takes: Mapping[str, Take]) -> None:
        """One after the other, until everything that is there was taken. Raises BusError."""
        for bucket, take in takes.items():
            followed = Followed(bucket, partial(store.follow, bucket), take)
            self._followed.append(followed)
            await followed.start()

    async def stop(self) -> None:
        for followed in self._followed:
            await followed.stop()

    def follow_anew(self) -> None:
        """The bus was away: what happened meanwhile is listed again."""
        for followed in self._followed:
            followed.follow_anew()


class Followed:
    """What `take` refuses is logged and left out."""

    def __init__(self, name: str, follow: Follow, take: Take) -> None:
        self._name, self._follow, self._take = name, follow, take
        self._listed, self._anew = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Until everything that is there was taken. Raises BusError."""
        self._task = asyncio.get_running_loop().create_task(self._keep())
        try:
            async with asyncio.timeout(LISTED_WITHIN_S):
                await self._listed.wait()
        except TimeoutError:
            await self.stop()
            raise BusError(f"bucket '{self._name}' was not listed within {LISTED_WITHIN_S:g} s") from None

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])
            self._task = None

    def follow_anew(self) -> None:
        self._anew.set()

    async def _keep(self) -> None:
        while True:
            self._anew.clear()
            hearing = asyncio.ensure_future(self._hear())
            waiting = asyncio.ensure_future(self._anew.wait())
            try:
                await asyncio.wait({hearing, waiting}, timeout=ANEW_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await end_tasks([hearing, waiting])  # type: ignore[list-item]
            if hearing.done() and not hearing.cancelled() and (error := hearing.exception()) is not None:
                log.warning("bucket '%s' is heard late: %s", self._name, error)
                await asyncio.sleep(AGAIN_S)

    async def _hear(self) -> None:
        """Raises BusError also where a list does not go on: a consumer whose server died says nothing more."""
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(STEP_WITHIN_S) as limit:

                def listed() -> None:
                    limit.reschedule(None)
                    self._listed.set()

                async with contextlib.aclosing(self._follow(listed)) as changes:  # type: ignore[type-var]
                    async for key, value in changes:
                        if limit.when() is not None:
                            limit.reschedule(clock() + STEP_WITHIN_S)
                        self._put(key, value)
        except TimeoutError:
            raise BusError(f"no end of the list within {STEP_WITHIN_S:g} s") from None

    def _put(self, key: str, value: bytes | None) -> None:
        try:
            self._take(key, value)
        except ManagerError as error:
            log.warning("'%.100s' of bucket '%s': %s", key, self._name, error)
