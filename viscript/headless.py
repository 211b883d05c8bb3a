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
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from viscript.api.desk import Desk
from viscript.api.server import ApiServer
from viscript.api.socket_file import make_listener
from viscript.errors import ConfigError, DaemonBusyError, StateError
from viscript.launcher.config import load_config
from viscript.launcher.lifecycle import Launcher, Ownership, Place
from viscript.launcher.model import Config
from viscript.launcher.process.group import GroupBackend
from viscript.launcher.process.unit import UnitBackend
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
    state_dir: Path
    socket: Path
    group: str | None
    prefix: Path
    starter: Path | None
    signal_address: Address


async def run(options: Options, tell: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `tell` hears where we listen. Raises ViscriptError or OSError."""
    config, trouble = _read_config(options.config)
    lock = _lock_state(options.state_dir)
    async with AsyncExitStack() as stack:
        stack.callback(lock.close)
        store = Store(options.state_dir)
        backend = _choose_backend(options)
        signals = SignalServer(owner=Ownership(store, backend))
        stack.push_async_callback(signals.close)
        address = await signals.start(options.signal_address.host, options.signal_address.port)
        launcher = Launcher(config, backend, store, signals, Place(options.prefix, address))
        stack.push_async_callback(launcher.close)
        await launcher.recover()
        api = ApiServer(Desk(launcher, signals, address, trouble).answer)
        stack.push_async_callback(api.close)
        await api.start(make_listener(options.socket, options.group))
        stack.callback(options.socket.unlink, missing_ok=True)
        tell(f"viscript listens at {options.socket}, signal server at {address}")
        notify("READY=1")
        await _serve_until_told()
        notify("STOPPING=1")


def _read_config(path: Path | None) -> tuple[Config, str]:
    """The configuration; a broken one leaves no applications and its error, which the shell then shows."""
    try:
        config = load_config(path)
    except ConfigError as error:
        log.error("%s", error)
        return Config({}, source=str(path)), str(error)
    log.info("%d applications from %s", len(config.apps), config.source)
    return config, ""


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
    return UnitBackend(options.starter) if options.starter else GroupBackend(options.state_dir)


async def _serve_until_told() -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (process_signals.SIGTERM, process_signals.SIGINT):
        loop.add_signal_handler(number, told.set)
    watchdog = loop.create_task(keep_watchdog())
    try:
        await told.wait()
    finally:
        watchdog.cancel()
        await asyncio.gather(watchdog, return_exceptions=True)
