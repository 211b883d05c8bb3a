"""The life of a program: from its start until SIGTERM, SIGINT or the signal server says so, or its work ends."""

from __future__ import annotations

import asyncio
import signal as process_signals
from collections.abc import Awaitable, Callable

from viscript.notify import notify
from viscript.signal import SignalClient

Work = Callable[[SignalClient], Awaitable[None]]


async def serve(work: Work) -> None:
    """`work` says READY=1 by itself, and cleans up when it is cancelled; what it raises is raised here."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (process_signals.SIGTERM, process_signals.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with SignalClient() as signal:
        signal.status = "starts"
        working = asyncio.ensure_future(work(signal))
        waits = [asyncio.ensure_future(told.wait()), asyncio.ensure_future(signal.wait_shutdown())]
        await asyncio.wait({working, *waits}, return_when=asyncio.FIRST_COMPLETED)
        notify("STOPPING=1")
        for task in (working, *waits):
            task.cancel()
        ended = await asyncio.gather(working, return_exceptions=True)
    if isinstance(ended[0], Exception):
        raise ended[0]
