"""What the requests about the life of applications mean: what there is, what runs, start and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viscript.api.model import (
    Apps,
    AskEntry,
    ConfiguredApp,
    Deploy,
    LifeRequest,
    LifeResult,
    ListConfigured,
    ListRunning,
    RestartApp,
    RunningApp,
    RunningApps,
    Shutdown,
    Start,
)
from viscript.errors import NoSuchAppError

if TYPE_CHECKING:
    from viscript.launcher.lifecycle import Launcher
    from viscript.launcher.model import App, Record
    from viscript.signal.server import SignalServer


class LifeDesk:
    def __init__(self, launcher: Launcher, signals: SignalServer) -> None:
        self._launcher = launcher
        self._signals = signals

    async def answer(self, request: LifeRequest, trouble: str) -> LifeResult:  # noqa: PLR0911 (one per request)
        match request:
            case ListConfigured():
                return self._list_configured(trouble)
            case AskEntry(app):
                return self._find_entry(app)
            case Start(app, args):
                return self._show(await self._launcher.start(app, args))
            case ListRunning():
                return RunningApps(tuple(self._show(record) for record in self._launcher.running()))
            case Shutdown(app_id):
                return await self._launcher.shutdown(app_id)
            case RestartApp(app_id):
                return self._show(await self._launcher.restart(app_id))
            case Deploy(app, entry):
                return self._show(await self._launcher.deploy(app, entry))

    def _list_configured(self, trouble: str) -> Apps:
        apps = self._launcher.config.apps.values()
        shown = (ConfiguredApp(app.name, app.desc, app.help, app.default_args, app.daemon) for app in apps)
        return Apps(tuple(shown), trouble)

    def _find_entry(self, name: str) -> App:
        try:
            return self._launcher.config.apps[name]
        except KeyError:
            raise NoSuchAppError(name) from None

    def _show(self, record: Record) -> RunningApp:
        pid = record.process.pid if record.process else 0
        return RunningApp(record.id, record.app, record.command, pid, record.id in self._signals.connected())
