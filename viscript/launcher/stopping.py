"""Ends one application in three steps, each with its deadline: asked over signal, then SIGTERM, then SIGKILL."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from viscript.errors import NoAnswerError
from viscript.launcher.model import Signal, Stopped, Way
from viscript.signal.errors import SignalError

if TYPE_CHECKING:
    from viscript.launcher.process.door import Backend
    from viscript.launcher.running import Running
    from viscript.signal.server import SignalServer

log = logging.getLogger(__name__)

ASK_DEADLINE_S = 3.0
KILL_DEADLINE_S = 10.0


async def stop(running: Running, signals: SignalServer, backend: Backend) -> Stopped:
    """Says which step it took. Raises NoAnswerError if none did."""
    app_id, pid = running.record.id, running.process.pid
    if await _ask_to_stop(app_id, signals) and await _is_set(running.gone, running.stop_timeout_s):
        return Stopped(pid, Way.SIGNAL)
    for signal, way, deadline_s in (
        (Signal.TERM, Way.SIGTERM, running.stop_timeout_s),
        (Signal.KILL, Way.SIGKILL, KILL_DEADLINE_S),
    ):
        if not running.gone.is_set():
            log.info("%s to %s (id %d)", way.value, running.record.app, app_id)
            await backend.kill(app_id, running.process, signal)
        if await _is_set(running.gone, deadline_s):
            return Stopped(pid, way)
    raise NoAnswerError(f"{running.record.app} (pid {pid}) does not end, not even by SIGKILL")


async def _ask_to_stop(app_id: int, signals: SignalServer) -> bool:
    """Whether the application said over signal that it will go."""
    try:
        await signals.shutdown(app_id, ASK_DEADLINE_S)
    except SignalError as error:
        log.info("cannot ask id %d to stop: %s", app_id, error)
        return False
    return True


async def _is_set(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
