"""The daemon: puts signal server, launcher and API together, and takes them apart again.

Order matters and is written once, in `run`: what can fail without touching anything comes first, the socket
by which people reach us opens last. Applications outlive the daemon, however it ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal as process_signals
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from viscript.api.desk import Desk
from viscript.api.server import ApiServer
from viscript.api.socket_file import make_listener
from viscript.cluster.join import join
from viscript.errors import ConfigError, DaemonBusyError, StateError
from viscript.launcher.boot import autostart
from viscript.launcher.config import load_config
from viscript.launcher.lifecycle import Launcher
from viscript.launcher.logs import Logs
from viscript.launcher.process.group import GroupBackend
from viscript.launcher.process.unit import UnitBackend
from viscript.launcher.questions import Questions
from viscript.launcher.running import Ownership, Place
from viscript.launcher.store import Store
from viscript.notify import keep_watchdog, notify
from viscript.signal.server import SignalServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from viscript.launcher.process.door import Backend
    from viscript.signal.model import Address

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What `viscript headless` was told; `starter` is set for the unit backend and None for process groups."""

    config: Path | None
    image: Path | None
    cluster: Path | None
    state_dir: Path
    socket: Path
    group: str | None
    prefix: Path
    starter: Path | None
    signal_address: Address


async def run(options: Options, tell: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `tell` hears where we listen. Raises ViscriptError or OSError."""
    lock = _lock_state(options.state_dir)
    async with AsyncExitStack() as stack:
        stack.callback(lock.close)
        store = Store(options.state_dir)
        backend = _choose_backend(options)
        signals = SignalServer(owner=Ownership(store, backend))
        stack.push_async_callback(signals.close)
        place = await _open_signals(options, signals)
        logs = Logs(backend, store.ended)
        launcher = Launcher(partial(load_config, options.config, options.image), backend, store, signals, logs, place)
        stack.push_async_callback(launcher.close)
        _reload(launcher)
        await launcher.recover()
        desk = Desk(launcher, Questions(launcher, signals), logs, signals, place.signal_address)
        desk.cluster = await stack.enter_async_context(join(options.cluster, desk.answer))
        api = ApiServer(desk.answer)
        stack.push_async_callback(api.close)
        await api.start(make_listener(options.socket, options.group))
        stack.callback(options.socket.unlink, missing_ok=True)
        tell(f"viscript listens at {options.socket}, signal server at {place.signal_address}")
        notify("READY=1")
        await _serve_until_told(launcher, signals)
        notify("STOPPING=1")


async def _open_signals(options: Options, signals: SignalServer) -> Place:
    """On a board an application is known by its unit's control group, over TCP; elsewhere by its process group,
    which only a UNIX socket tells.
    """
    wanted = options.signal_address
    try:
        address = await signals.start(wanted.host, wanted.port)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StateError(
            f"cannot listen for programs at '{wanted}': {reason} (give another --signal-address)"
        ) from error
    if options.starter is not None:
        return Place(options.prefix, address)
    socket = options.state_dir / "signal.sock"
    await signals.start_unix(socket)
    return Place(options.prefix, address, socket)


def _reload(launcher: Launcher) -> None:
    """A broken configuration is no reason to end: the shell then shows its error."""
    try:
        launcher.reload()
    except ConfigError as error:
        log.error("%s", error)


def _lock_state(directory: Path) -> TextIO:
    """Make the state directory ours alone, and hold it against a second daemon while the file is open."""
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.geteuid():
            raise StateError(f"'{directory}' belongs to another user (give --state-dir)")
        lock = directory.joinpath("lock").open("w")
    except OSError as error:
        raise StateError(f"cannot use the state directory '{directory}': {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise DaemonBusyError(f"another viscript uses '{directory}'") from None
    return lock


def _choose_backend(options: Options) -> Backend:
    return UnitBackend(options.starter) if options.starter else GroupBackend(options.state_dir, options.config)


async def _serve_until_told(launcher: Launcher, signals: SignalServer) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (process_signals.SIGTERM, process_signals.SIGINT):
        loop.add_signal_handler(number, told.set)
    loop.add_signal_handler(process_signals.SIGHUP, _reload, launcher)
    work = [loop.create_task(keep_watchdog()), loop.create_task(autostart(launcher, signals))]
    try:
        await told.wait()
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
