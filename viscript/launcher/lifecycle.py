"""What runs: gives out ids, starts, finds again, watches and ends applications.

It knows programs only through a backend and the signal server, and keeps the state file equal to what runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from viscript.errors import NoAnswerError, NoSuchAppError, NoSuchIdError, StartError, UnsureStartError
from viscript.launcher.model import (
    Config,
    Launch,
    Process,
    Record,
    Signal,
    Stopped,
    Usage,
    Way,
    check_arguments,
    resolve_path,
)
from viscript.launcher.process import procfs
from viscript.signal.errors import SignalError
from viscript.signal.settings import make_environment

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from viscript.launcher.process.door import Backend, Exit
    from viscript.launcher.store import Store
    from viscript.signal.model import Address, Peer
    from viscript.signal.server import SignalServer

log = logging.getLogger(__name__)

MAX_RUNNING = 100
ASK_DEADLINE_S = 3.0
KILL_DEADLINE_S = 10.0
WITHDRAW_INTERVAL_S = 10.0


@dataclass(slots=True)
class Running:
    """An application that was started and has not ended; `gone` is set when it has."""

    record: Record
    process: Process
    stop_timeout_s: float
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Place:
    """Where programs are and whom they report to."""

    prefix: Path
    signal_address: Address


class Ownership:
    """The signal server's question: may whoever is at that end register as this id?"""

    def __init__(self, store: Store, backend: Backend) -> None:
        self._store = store
        self._backend = backend

    def __call__(self, peer: Peer, client_id: int) -> bool:
        return any(record.id == client_id and self._backend.owns(peer, record) for record in self._store.records())


class Launcher:
    """One per daemon. All methods run in the daemon's event loop."""

    def __init__(self, config: Config, backend: Backend, store: Store, signals: SignalServer, place: Place) -> None:
        self.config = config
        self._backend = backend
        self._store = store
        self._signals = signals
        self._place = place
        self._running: dict[int, Running] = {}
        self._watchers: set[asyncio.Task[None]] = set()

    def running(self) -> list[Record]:
        return [self._running[app_id].record for app_id in sorted(self._running)]

    async def recover(self) -> None:
        """Take up the applications a former viscript left running; forget those that ended meanwhile."""
        known = {record.id: record for record in self._store.records()}
        for found in await self._backend.find(known.values()):
            record = known.pop(found.id, None) or self._record_unknown(found.id, found.app)
            self._note(msgspec.structs.replace(record, process=found.process), found.process)
            log.info("found %s (id %d) running, pid %d", found.app, found.id, found.process.pid)
        for record in known.values():
            log.info("%s (id %d) ended while viscript was away", record.app, record.id)
            self._store.drop(record.id)

    async def start(self, name: str, args: tuple[str, ...]) -> Record:
        """Start a configured application; `args`, if any, replace its default arguments."""
        app = self.config.apps.get(name)
        if app is None:
            raise NoSuchAppError(name)
        if len(self._running) >= MAX_RUNNING:
            raise StartError(f"{MAX_RUNNING} applications are running, which is the most there may be")
        args = args or app.default_args
        check_arguments(args)
        app_id = self._store.take_id()
        command = (resolve_path(app, self._place.prefix), *args)
        env = make_environment(self._place.signal_address, app_id)
        self._store.put(Record(app_id, name, args, command, time.time()))
        try:
            process = await self._backend.start(Launch(app_id, app, args, command, env))
        except (UnsureStartError, asyncio.CancelledError):
            self._spawn(self._withdraw(app_id))
            raise
        except BaseException:
            self._store.drop(app_id)
            raise
        record = Record(app_id, name, args, command, time.time(), process)
        self._note(record, process)
        log.info("started %s (id %d), pid %d", name, app_id, process.pid)
        return record

    async def shutdown(self, app_id: int) -> Stopped:
        """End an application: asked over signal, then SIGTERM, then SIGKILL, each with its deadline."""
        running = self._find(app_id)
        pid = running.process.pid
        if await self._ask_to_stop(app_id) and await _is_set(running.gone, running.stop_timeout_s):
            return Stopped(pid, Way.SIGNAL)
        for signal, way, deadline_s in (
            (Signal.TERM, Way.SIGTERM, running.stop_timeout_s),
            (Signal.KILL, Way.SIGKILL, KILL_DEADLINE_S),
        ):
            if not running.gone.is_set():
                log.info("%s to %s (id %d)", way.value, running.record.app, app_id)
                await self._backend.kill(app_id, running.process, signal)
            if await _is_set(running.gone, deadline_s):
                return Stopped(pid, way)
        raise NoAnswerError(f"{running.record.app} (pid {pid}) does not end, not even by SIGKILL")

    async def ping(self, app_id: int, patience_s: float) -> float:
        """Seconds an application takes to answer; waits so long for one that is still coming up."""
        await self._wait_registered(app_id, patience_s)
        return await self._signals.ping(app_id)

    async def usage(self, app_id: int) -> Usage:
        usage = await procfs.measure(self._find(app_id).process)
        if usage is None:
            raise NoSuchIdError(app_id)
        return usage

    async def close(self) -> None:
        """Stop watching; the applications go on."""
        for watcher in tuple(self._watchers):
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._backend.close()

    async def _wait_registered(self, app_id: int, patience_s: float) -> None:
        running = self._find(app_id)
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

    async def _ask_to_stop(self, app_id: int) -> bool:
        """Whether the application said over signal that it will go."""
        try:
            await self._signals.shutdown(app_id, ASK_DEADLINE_S)
        except SignalError as error:
            log.info("cannot ask id %d to stop: %s", app_id, error)
            return False
        return True

    def _note(self, record: Record, process: Process) -> None:
        app = self.config.apps.get(record.app)
        running = Running(record, process, app.stop_timeout_s if app else ASK_DEADLINE_S)
        self._store.put(record)
        self._running[record.id] = running
        self._spawn(self._watch(running))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        watcher = asyncio.get_running_loop().create_task(work)
        self._watchers.add(watcher)
        watcher.add_done_callback(self._end_watch)

    async def _watch(self, running: Running) -> None:
        record = running.record
        ended = await self._backend.wait_gone(record.id, running.process)
        del self._running[record.id]
        running.gone.set()
        _log_exit(record, ended)
        self._store.drop(record.id)

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

    def _end_watch(self, watcher: asyncio.Task[None]) -> None:
        self._watchers.discard(watcher)
        if not watcher.cancelled() and watcher.exception() is not None:
            log.error("watching an application failed", exc_info=watcher.exception())

    def _record_unknown(self, app_id: int, name: str) -> Record:
        """A record for a running application whose own was lost."""
        self._store.skip_to(app_id + 1)
        app = self.config.apps.get(name)
        command = (resolve_path(app, self._place.prefix),) if app else (name,)
        return Record(app_id, name, (), command, time.time())

    def _find(self, app_id: int) -> Running:
        try:
            return self._running[app_id]
        except KeyError:
            raise NoSuchIdError(app_id) from None


async def _is_set(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _log_exit(record: Record, ended: Exit) -> None:
    how = "ended" if ended.code is None else f"exit {ended.code}" if ended.code >= 0 else f"signal {-ended.code}"
    log.info("%s (id %d): %s", record.app, record.id, how)
    if ended.code:
        for line in ended.last_lines:
            log.info("%s (id %d) said: %s", record.app, record.id, line)
