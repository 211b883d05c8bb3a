"""What running applications are asked: over signal what only they know, of the kernel what they use."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from viscript.errors import NoSuchIdError
from viscript.launcher.process import procfs

if TYPE_CHECKING:
    from viscript.launcher.lifecycle import Launcher
    from viscript.launcher.model import Record, Usage
    from viscript.signal.model import Report
    from viscript.signal.server import SignalServer

ASK_DEADLINE_S = 5.0
COMMAND_DEADLINE_S = 30.0
SHORTEST_PATIENCE_S = 0.5


class Questions:
    """Every one has a deadline. Raises NoSuchIdError or SignalError."""

    def __init__(self, launcher: Launcher, signals: SignalServer) -> None:
        self._launcher = launcher
        self._signals = signals

    async def ping(self, app_id: int, patience_s: float) -> float:
        """Seconds an application takes to answer; one that is still coming up has so long since its start."""
        age_s = max(time.time() - self._launcher.find(app_id).record.started_unix, 0)
        await self._wait_registered(app_id, max(patience_s - age_s, SHORTEST_PATIENCE_S))
        return await self._signals.ping(app_id)

    async def usage(self, app_id: int) -> Usage:
        usage = await procfs.measure(self._launcher.find(app_id).process)
        if usage is None:
            raise NoSuchIdError(app_id)
        return usage

    async def usages(self) -> list[tuple[Record, Usage]]:
        """Of all that run, over one stretch of time."""
        records = [record for record in self._launcher.running() if record.process is not None]
        found = await procfs.measure_all([record.process for record in records if record.process is not None])
        return [(record, usage) for record, usage in zip(records, found, strict=True) if usage is not None]

    async def memstats(self, app_id: int) -> dict[str, float]:
        """Go's memory statistics as the application gives them, without what is no number."""
        self._launcher.find(app_id)
        found = await self._signals.top(app_id, ASK_DEADLINE_S)
        return {name: value for name, value in found.items() if isinstance(value, (int, float))}

    async def report(self, app_id: int) -> Report:
        self._launcher.find(app_id)
        return await self._signals.report(app_id, ASK_DEADLINE_S)

    async def set_log_level(self, app_id: int, level: str) -> None:
        self._launcher.find(app_id)
        await self._signals.set_log_level(app_id, level, ASK_DEADLINE_S)

    async def command(self, app_id: int, name: str, args: tuple[str, ...]) -> str:
        self._launcher.find(app_id)
        return await self._signals.command(app_id, name, args, COMMAND_DEADLINE_S)

    async def _wait_registered(self, app_id: int, patience_s: float) -> None:
        """Raises NoSuchIdError as soon as the application is gone."""
        running = self._launcher.find(app_id)
        if app_id in self._signals.connected():
            return
        connected = asyncio.ensure_future(self._signals.wait_connected(app_id, patience_s))
        gone = asyncio.ensure_future(running.gone.wait())
        try:
            await asyncio.wait({connected, gone}, return_when=asyncio.FIRST_COMPLETED)
            if connected.done():
                connected.result()
            else:
                raise NoSuchIdError(app_id)
        finally:
            connected.cancel()
            gone.cancel()
