"""Tells what happens to whoever follows; who is too slow is told so at last, and holds up nobody."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.messenger.api_words import Event, Missed

MOST_UNTOLD = 1000


class Hub:
    def __init__(self) -> None:
        self._followers: set[Follower] = set()

    def __len__(self) -> int:
        return len(self._followers)

    def tell(self, event: Event) -> None:
        for follower in self._followers:
            follower.put(event)

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[Follower]:
        """What is told from now on."""
        follower = Follower()
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)


class Follower:
    """Iterates over events; it ends after `Missed`."""

    def __init__(self) -> None:
        self._untold: deque[Event] = deque()
        self._came = asyncio.Event()
        self._missed = False

    def put(self, event: Event) -> None:
        if self._missed:
            return
        if len(self._untold) >= MOST_UNTOLD:
            self._untold.clear()
            self._missed, event = True, Missed()
        self._untold.append(event)
        self._came.set()

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> Event:
        while not self._untold:
            if self._missed:
                raise StopAsyncIteration
            self._came.clear()
            await self._came.wait()
        return self._untold.popleft()
