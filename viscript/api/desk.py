"""What each request of the API means: one line per request, done by the launcher."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from viscript import __version__
from viscript.api.model import (
    Apps,
    AskStatus,
    AskUsage,
    ConfiguredApp,
    ListConfigured,
    ListRunning,
    PingApp,
    PingTime,
    Request,
    Result,
    RunningApp,
    RunningApps,
    Shutdown,
    Start,
    Status,
)

if TYPE_CHECKING:
    from viscript.launcher.lifecycle import Launcher
    from viscript.launcher.model import Record
    from viscript.signal.model import Address
    from viscript.signal.server import SignalServer

PING_PATIENCE_S = 20.0
"""Seconds a ping waits for a program that has not registered yet; on an emulated board Python takes ten to
start.
"""


class Desk:
    """Answers requests; `trouble` is told to whoever asks for the status."""

    def __init__(self, launcher: Launcher, signals: SignalServer, address: Address, trouble: str = "") -> None:
        self._launcher = launcher
        self._signals = signals
        self._address = address
        self._trouble = trouble
        self._since = time.monotonic()

    async def answer(self, request: Request) -> Result:  # noqa: PLR0911 (one per request)
        """Raises ViscriptError or SignalError."""
        match request:
            case ListConfigured():
                return self._list_configured()
            case Start(app, args):
                return self._show(await self._launcher.start(app, args))
            case ListRunning():
                return RunningApps(tuple(self._show(record) for record in self._launcher.running()))
            case PingApp(app_id):
                return PingTime(await self._launcher.ping(app_id, PING_PATIENCE_S))
            case AskUsage(app_id):
                return await self._launcher.usage(app_id)
            case Shutdown(app_id):
                return await self._launcher.shutdown(app_id)
            case AskStatus():
                return self._status()

    def _list_configured(self) -> Apps:
        return Apps(
            tuple(
                ConfiguredApp(app.name, app.desc, app.help, app.default_args, app.daemon)
                for app in self._launcher.config.apps.values()
            )
        )

    def _show(self, record: Record) -> RunningApp:
        pid = record.process.pid if record.process else 0
        return RunningApp(record.id, record.app, record.command, pid, record.id in self._signals.connected())

    def _status(self) -> Status:
        return Status(
            version=__version__,
            pid=os.getpid(),
            uptime_s=round(time.monotonic() - self._since, 1),
            apps=len(self._launcher.config.apps),
            running=len(self._launcher.running()),
            connected=len(self._signals.connected()),
            signal_address=str(self._address),
            config=self._launcher.config.source,
            trouble=self._trouble,
        )
