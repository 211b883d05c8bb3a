"""What the starter does for each request. One at a time, which is all its one caller needs and leaves nothing
to race.

The configuration is read anew for every start, from the starter's own path, so a caller can choose among
configured programs and nothing more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from viscript.errors import ConfigError, NoSuchAppError, NoSuchIdError, StartError, UnsureStartError
from viscript.launcher.config import DEPLOYED, load_config
from viscript.launcher.deploy import add_entry
from viscript.launcher.model import App, Config, Signal
from viscript.launcher.process.account import find_account
from viscript.launcher.starter import systemd
from viscript.launcher.starter.argv import make_run_argv, unit_name
from viscript.launcher.starter.files import Files
from viscript.launcher.starter.model import (
    AddApp,
    CollectUnit,
    ForgetFiles,
    ListUnits,
    StarterRequest,
    StartUnit,
    State,
    StopUnit,
    Unit,
)
from viscript.signal.model import Address

log = logging.getLogger(__name__)

_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may ask, and what the starter starts whatever it is asked."""

    allow_uid: int
    config: Path
    prefix: Path
    signal_address: Address
    image: Path | None = None


def answer(request: StarterRequest, rules: Rules, files: Files) -> tuple[Unit, ...]:
    """Do what is asked; the units it was about. Raises ViscriptError."""
    match request:
        case StartUnit(app, app_id, args):
            return _start(app, app_id, args, rules, files)
        case StopUnit(app_id, signal):
            return _stop(app_id, signal)
        case ListUnits():
            return systemd.list_units()
        case CollectUnit(app_id):
            return _collect(app_id)
        case ForgetFiles(app_id):
            if not _find(app_id):
                files.remove(app_id)
            return ()
        case AddApp(name, entry):
            add_entry(rules.config.parent, name, entry, _load(rules))
            log.info("added '%s' to the configuration", name)
            return ()


def _start(name: str, app_id: int, args: tuple[str, ...], rules: Rules, files: Files) -> tuple[Unit, ...]:
    config = _load(rules)
    if name not in config.apps:
        raise NoSuchAppError(name)
    app, unit = config.apps[name], unit_name(name, app_id)
    _check_user(app, rules)
    _make_room(app_id)
    streams = files.make(app_id, with_input=not app.daemon)
    try:
        systemd.run_unit(make_run_argv(app, app_id, args, rules.prefix, rules.signal_address, streams))
    except UnsureStartError:
        raise
    except StartError:
        with contextlib.suppress(StartError):
            _collect(app_id)
        files.remove(app_id)
        raise
    log.info("started %s", unit)
    try:
        return tuple(found for found in _find(app_id) if found.pid)
    except StartError as error:
        raise UnsureStartError(str(error)) from error


def _stop(app_id: int, signal: Signal) -> tuple[Unit, ...]:
    units = tuple(unit for unit in _find(app_id) if unit.state is not State.ENDED)
    if not units:
        raise NoSuchIdError(app_id)
    for unit in units:
        if unit.pid:
            systemd.signal_unit(unit.unit, signal)
        else:
            systemd.stop_unit(unit.unit)
        log.info("%s to %s", signal.value, unit.unit)
    return units


def _collect(app_id: int) -> tuple[Unit, ...]:
    """The units of that id that systemd still keeps, with their exit codes; those that ended are unloaded."""
    units = _find(app_id)
    for unit in units:
        if unit.state is State.ENDED:
            # Which of the two it takes depends on how it ended; the other one does no harm.
            for unload in (systemd.stop_unit, systemd.forget_failed):
                with contextlib.suppress(StartError):
                    unload(unit.unit)
    return units


def _make_room(app_id: int) -> None:
    """Collect what ended under that id while nobody looked. Raises StartError when something still runs."""
    deadline = time.monotonic() + systemd.ASK_DEADLINE_S
    while units := _collect(app_id):
        if any(unit.state in {State.WAITING, State.RUNNING} for unit in units):
            raise StartError(f"id {app_id} is running already")
        if time.monotonic() > deadline:
            raise StartError(f"what ran as id {app_id} does not end")
        time.sleep(_PAUSE_S)


def _find(app_id: int) -> tuple[Unit, ...]:
    return tuple(unit for unit in systemd.list_units() if unit.id == app_id)


def _load(rules: Rules) -> Config:
    """What may be started is root's to say: a file that another user can write says nothing. Raises ConfigError."""
    folder = rules.config.parent / DEPLOYED
    for place in (*filter(None, [rules.image]), rules.config, folder, *folder.glob("*.yaml")):
        _check_ours(place)
    return load_config(rules.config, rules.image)


def _check_ours(path: Path) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ConfigError(f"{path}: others can write it (run: chown root {path}; chmod go-w {path})")


def _check_user(app: App, rules: Rules) -> None:
    if app.user is not None:
        find_account(app.user, refused_uid=rules.allow_uid)
