"""Ends tasks that use the bus. Before Python 3.12 `asyncio.wait_for`, which nats-py uses, can swallow a cancellation
that meets its result; so it is said again until it is heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

AGAIN_S = 0.2
TRIES = 50


async def end_tasks(tasks: Collection[asyncio.Task[None]]) -> None:
    """Returns once all have ended, or after ten seconds."""
    for _ in range(TRIES):
        left = [task for task in tasks if not task.done()]
        if not left:
            break
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=AGAIN_S)
    await asyncio.gather(*(task for task in tasks if task.done()), return_exceptions=True)


async def until_one_ends(tasks: Collection[asyncio.Task[None]]) -> None:
    """Then all are ended. Raises what the one raised."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        await end_tasks(tasks)
