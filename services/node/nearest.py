"""Asks several places at once, so that one which is off costs no time: servers of the bus, managers to join."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from services.node.errors import AwayError, NodeError

T = TypeVar("T")
Place = TypeVar("Place")

ACCEPTS_WITHIN_S = 3.0
APART_S = 1.0


async def answering(urls: Sequence[str]) -> list[str]:
    """The one first that accepts a connection first, then the others. Raises AwayError where none does."""
    opened = {asyncio.get_running_loop().create_task(_open(url)): url for url in urls}
    try:
        for done in asyncio.as_completed(opened, timeout=ACCEPTS_WITHIN_S):
            try:
                first = await done
            except OSError:
                continue
            return [first, *(url for url in urls if url != first)]
    except TimeoutError:
        pass
    finally:
        await _end(opened)
    raise AwayError(f"the bus at {', '.join(urls)} does not answer")


async def first_of(places: Sequence[Place], ask: Callable[[Place], Awaitable[T]]) -> T:
    """The first answer; the next is asked when the one before fails or is slow. Raises all their errors as one."""
    waiting: dict[asyncio.Task[T], Place] = {}
    left, told = list(places), list[NodeError]()
    try:
        while left or waiting:
            if left:
                place = left.pop(0)
                waiting[asyncio.get_running_loop().create_task(_asked(ask, place))] = place
            done, _ = await asyncio.wait(
                waiting, timeout=APART_S if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                del waiting[task]
                try:
                    return task.result()
                except NodeError as error:
                    told.append(error)
    finally:
        await _end(waiting)
    kind = type(told[0]) if len({type(error) for error in told}) == 1 else AwayError
    raise kind("; ".join(map(str, told)))


async def _asked(ask: Callable[[Place], Awaitable[T]], place: Place) -> T:
    return await ask(place)


async def _open(url: str) -> str:
    parts = urlsplit(url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.transport.abort()
    return url


async def _end(tasks: dict[asyncio.Task[T], Place]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
