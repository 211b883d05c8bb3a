"""What runs: gives out ids, starts, finds again, watches, restarts and ends applications.

It knows programs only through a backend and the signal server, and keeps the state file equal to what runs.
What running applications are asked is in `questions`, what they wrote in `logs`, how one is ended in `stopping`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import msgspec

from viscript.errors import ConfigError, NoSuchAppError, NoSuchIdError, StartError, UnsureStartError, UsageError
from viscript.launcher import restarts
from viscript.launcher.model import (
    STOP_TIMEOUT_S,
    App,
    Config,
    Ended,
    Launch,
    Process,
    Record,
    Reloaded,
    Restart,
    Stopped,
    Way,
    check_arguments,
    resolve_path,
)
from viscript.launcher.running import Place, Running
from viscript.launcher.stopping import stop
from viscript.signal.settings import make_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from viscript.launcher.logs import Logs
    from viscript.launcher.process.door import Backend, Exit
    from viscript.launcher.store import Store
    from viscript.signal.server import SignalServer

log = logging.getLogger(__name__)

MAX_RUNNING = 100
WITHDRAW_INTERVAL_S = 10.0
PIECE = 4096
"""Bytes that a pipe takes all or none of (PIPE_BUF)."""


class Launcher:
    """One per daemon; `load` reads the configuration anew. All methods run in the daemon's event loop."""

    def __init__(
        self,
        load: Callable[[], Config],
        backend: Backend,
        store: Store,
        signals: SignalServer,
        logs: Logs,
        place: Place,
    ) -> None:
        self.config = Config({})
        self.trouble = ""
        self._load = load
        self._backend = backend
        self._store = store
        self._signals = signals
        self._logs = logs
        self._place = place
        self._running: dict[int, Running] = {}
        self._waiting: dict[int, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._watchers: set[asyncio.Task[None]] = set()

    def running(self) -> list[Record]:
        return [self._running[app_id].record for app_id in sorted(self._running)]

    def kept(self) -> dict[str, int]:
        """Ids of the applications that run or are about to run again, by name."""
        return {record.app: record.id for record in self._store.records()}

    def ended(self) -> tuple[Ended, ...]:
        """How the last runs of applications ended that do not run now."""
        return tuple(ended for ended in self._store.ended() if ended.id not in self._running)

    def waiting(self) -> tuple[int, ...]:
        """Ids of the applications that ended and are about to be started again."""
        return tuple(self._waiting)

    def find(self, app_id: int) -> Running:
        """Raises NoSuchIdError."""
        try:
            return self._running[app_id]
        except KeyError:
            raise NoSuchIdError(app_id) from None

    # Configuration

    def reload(self) -> Reloaded:
        """Read the configuration anew. Raises ConfigError; the former one then stays in force."""
        try:
            config = self._load()
        except ConfigError as error:
            self.trouble = str(error)
            raise
        before, after = self.config.apps, config.apps
        self.config, self.trouble = config, ""
        log.info("%d applications from %s", len(after), config.source)
        return Reloaded(
            added=tuple(sorted(after.keys() - before.keys())),
            changed=tuple(sorted(name for name in after.keys() & before.keys() if after[name] != before[name])),
            removed=tuple(sorted(before.keys() - after.keys())),
        )

    async def deploy(self, name: str, entry: App) -> Record:
        """Add the entry to the configuration, or replace it, and run it in its new form."""
        await self._backend.deploy(name, entry)
        self.reload()
        for record in self._store.records():  # also of what is about to run again
            if record.app == name:
                with contextlib.suppress(NoSuchIdError):
                    await self.shutdown(record.id)
        return await self.start(name, ())

    # Starting

    async def recover(self) -> None:
        """Take up the applications a former viscript left running; see to those that ended meanwhile."""
        known = {record.id: record for record in self._store.records()}
        for found in await self._backend.find(known.values()):
            record = known.pop(found.id, None) or self._record_unknown(found.id, found.app)
            self._note(msgspec.structs.replace(record, process=found.process), found.process)
            log.info("found %s (id %d) running, pid %d", found.app, found.id, found.process.pid)
        for record in known.values():
            await self._recover_ended(record)

    async def _recover_ended(self, record: Record) -> None:
        """What a former viscript did not see to its end: how it ended, or that it never quite began."""
        log.info("%s (id %d) ended while viscript was away", record.app, record.id)
        if record.process is None:
            await self._withdraw(record.id)
            return
        ended = await self._backend.wait_gone(record.id, record.process)
        await self._logs.collect(record.id)
        self._end_run(record, ended.code, ended.last_lines, time.time() - record.started_unix)

    async def start(self, name: str, args: tuple[str, ...]) -> Record:
        """Start a configured application; `args`, if any, replace its default arguments."""
        app = self._find_app(name)
        args = args or app.default_args
        check_arguments(args)
        self._check_room()
        return await self._launch(self._store.take_id(), app, args, failures=0)

    async def restart(self, app_id: int) -> Record:
        """End an application and start it anew under its id, with its arguments and the settings of now."""
        record = next((record for record in self._store.records() if record.id == app_id), None)
        if record is None:
            raise NoSuchIdError(app_id)
        app = self._find_app(record.app)
        async with self._lock(app_id):
            await self._shutdown(app_id)
            return await self._launch(app_id, app, record.args, failures=0)

    async def _launch(self, app_id: int, app: App, args: tuple[str, ...], failures: int) -> Record:
        command = (resolve_path(app, self._place.prefix), *args)
        socket = None if app.user else self._place.signal_socket  # another user cannot reach into our directory
        env = make_environment(self._place.signal_address, app_id, socket)
        draft = Record(app_id, app.name, args, command, time.time(), failures=failures)
        self._store.put(draft)
        try:
            process = await self._backend.start(Launch(app_id, app, args, command, env))
        except (UnsureStartError, asyncio.CancelledError):
            self._spawn(self._withdraw(app_id))
            raise
        except BaseException:
            self._store.drop(app_id)
            raise
        record = msgspec.structs.replace(draft, process=process)
        self._note(record, process)
        log.info("started %s (id %d), pid %d", app.name, app_id, process.pid)
        return record

    # Ending

    async def shutdown(self, app_id: int) -> Stopped:
        """End an application: asked over signal, then SIGTERM, then SIGKILL, each with its deadline."""
        async with self._lock(app_id):
            return await self._shutdown(app_id)

    async def _shutdown(self, app_id: int) -> Stopped:
        if app_id in self._waiting:
            return self._call_off(app_id)
        running = self.find(app_id)
        running.unwanted = True
        try:
            return await stop(running, self._signals, self._backend)
        except BaseException:
            running.unwanted = False
            raise

    def _call_off(self, app_id: int) -> Stopped:
        """Drop an application that ended and was to be started again."""
        self._waiting.pop(app_id).cancel()
        last = next((record.process for record in self._store.records() if record.id == app_id), None)
        self._store.drop(app_id)
        return Stopped(last.pid if last else 0, Way.CALLED_OFF)

    async def type_into(self, app_id: int, text: str) -> None:
        """Give an application text on its standard input. Raises UsageError for a daemon, which has none."""
        record = self.find(app_id).record
        app = self.config.apps.get(record.app)
        if app is not None and app.daemon:
            raise UsageError(f"'{record.app}' is a daemon and takes no input (see its output with: logs {app_id} -f)")
        data = text.encode()
        for start in range(0, len(data), PIECE):
            await self._backend.write_input(app_id, data[start : start + PIECE])

    async def close(self) -> None:
        """Stop watching; the applications go on."""
        tasks = (*self._watchers, *self._waiting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._backend.close()

    # Watching

    def _note(self, record: Record, process: Process) -> None:
        app = self.config.apps.get(record.app)
        running = Running(record, process, app.stop_timeout_s if app else STOP_TIMEOUT_S)
        self._store.put(record)
        self._running[record.id] = running
        self._logs.begin(record.id)
        self._spawn(self._watch(running))

    async def _watch(self, running: Running) -> None:
        record, since = running.record, time.monotonic()
        ended = await self._backend.wait_gone(record.id, running.process)
        await self._logs.collect(record.id)
        _log_exit(record, ended)
        del self._running[record.id]
        if running.unwanted:
            self._store.end(_describe(record, ended.code, ended.last_lines), keep_record=False)
        else:
            self._end_run(record, ended.code, ended.last_lines, time.monotonic() - since)
        self._logs.release(record.id)
        running.gone.set()

    def _end_run(self, record: Record, code: int | None, lines: tuple[str, ...], ran_s: float) -> None:
        """A run is over that nobody asked to end: note it, and see whether another follows."""
        app = self.config.apps.get(record.app)
        step = restarts.decide(app.restart if app else Restart.NEVER, code, ran_s, record.failures)
        ended = _describe(record, code, lines, given_up=isinstance(step, restarts.GiveUp))
        self._store.end(ended, keep_record=isinstance(step, restarts.Again))
        match step:
            case restarts.Again(pause_s, failures):
                log.info("%s (id %d) starts again in %g s", record.app, record.id, pause_s)
                task = asyncio.get_running_loop().create_task(self._start_again(record, pause_s, failures))
                self._waiting[record.id] = task
                task.add_done_callback(self._report)
            case restarts.GiveUp():
                log.error("%s (id %d) ended too often and is left alone", record.app, record.id)
            case restarts.Leave():
                pass

    async def _start_again(self, record: Record, pause_s: float, failures: int) -> None:
        await asyncio.sleep(pause_s)
        async with self._lock(record.id):
            del self._waiting[record.id]
            await self._launch_again(record, failures)

    async def _launch_again(self, record: Record, failures: int) -> None:
        app = self.config.apps.get(record.app)
        if app is None:
            self._store.drop(record.id)
            return
        try:
            await self._launch(record.id, app, record.args, failures)
        except UnsureStartError as error:
            log.error("%s (id %d) may not have started: %s", record.app, record.id, error)
        except StartError as error:
            log.error("%s (id %d) does not start: %s", record.app, record.id, error)
            self._end_run(msgspec.structs.replace(record, failures=failures), None, (str(error),), 0)

    async def _withdraw(self, app_id: int) -> None:
        """End what a start left that nobody waits for any more; until then its record stays."""
        while True:
            try:
                await self._backend.withdraw(app_id)
            except StartError as error:
                log.warning("cannot tell yet whether id %d was started: %s", app_id, error)
                await asyncio.sleep(WITHDRAW_INTERVAL_S)
            else:
                break
        log.info("id %d was not started in time and is withdrawn", app_id)
        self._store.drop(app_id)

    # Small matters

    def _lock(self, app_id: int) -> asyncio.Lock:
        """One thing at a time is done to an id; the lock lives as long as somebody holds or awaits it."""
        return self._locks.setdefault(app_id, asyncio.Lock())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        watcher = asyncio.get_running_loop().create_task(work)
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        watcher.add_done_callback(self._report)

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error("watching an application failed", exc_info=task.exception())

    def _find_app(self, name: str) -> App:
        app = self.config.apps.get(name)
        if app is None:
            raise NoSuchAppError(name)
        return app

    def _check_room(self) -> None:
        if len(self._running) + len(self._waiting) >= MAX_RUNNING:
            raise StartError(f"{MAX_RUNNING} applications are running, which is the most there may be")

    def _record_unknown(self, app_id: int, name: str) -> Record:
        """A record for a running application whose own was lost."""
        self._store.skip_to(app_id + 1)
        app = self.config.apps.get(name)
        command = (resolve_path(app, self._place.prefix),) if app else (name,)
        return Record(app_id, name, (), command, time.time())


def _describe(record: Record, code: int | None, lines: tuple[str, ...], *, given_up: bool = False) -> Ended:
    return Ended(record.id, record.app, code, time.time(), lines, given_up)


def _log_exit(record: Record, ended: Exit) -> None:
    how = "ended" if ended.code is None else f"exit {ended.code}" if ended.code >= 0 else f"signal {-ended.code}"
    log.info("%s (id %d): %s", record.app, record.id, how)
    if ended.code:
        for line in ended.last_lines[-3:]:
            log.info("%s (id %d) said: %s", record.app, record.id, line)
