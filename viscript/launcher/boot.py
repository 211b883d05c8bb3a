"""Starts what the configuration wants started when viscript starts, each behind those it names in `after`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from viscript.errors import StartError
from viscript.launcher.config import order
from viscript.signal.errors import SignalError

if TYPE_CHECKING:
    from viscript.launcher.lifecycle import Launcher
    from viscript.signal.server import SignalServer

log = logging.getLogger(__name__)

AFTER_PATIENCE_S = 20.0
"""Seconds an application waits for one it starts after to register; then it starts all the same."""


async def autostart(launcher: Launcher, signals: SignalServer) -> None:
    """One after the other: a small board is not up sooner by starting all at once, and `after` needs no more."""
    apps = launcher.config.apps
    up = launcher.kept()
    for name in order(apps):
        app = apps[name]
        if not app.autostart or name in up:
            continue
        for earlier in app.after:
            if earlier in up:
                await _wait_up(up[earlier], name, signals)
        try:
            up[name] = (await launcher.start(name, ())).id
        except StartError as error:
            log.error("cannot start %s at boot: %s", name, error)


async def _wait_up(app_id: int, name: str, signals: SignalServer) -> None:
    try:
        await signals.wait_connected(app_id, AFTER_PATIENCE_S)
    except SignalError as error:
        log.warning("%s; %s starts all the same", error, name)
