"""Serves the starter's socket: who may ask, one line in, one line out, a deadline for each.

One request at a time, which is all its one caller needs and leaves nothing to race. The configuration is
read anew for every start from the starter's own path, so a caller can choose among configured programs and
nothing more.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import msgspec

from viscript.errors import (
    ConfigError,
    NoSuchAppError,
    NoSuchIdError,
    ProtocolError,
    StartError,
    UnsureStartError,
    ViscriptError,
)
from viscript.launcher.config import load_config
from viscript.launcher.starter import systemd
from viscript.launcher.starter.argv import make_run_argv, unit_name
from viscript.launcher.starter.model import (
    MAX_LINE,
    ListUnits,
    StarterReply,
    StarterRequest,
    StartUnit,
    StopUnit,
    Unit,
)
from viscript.signal.model import Address

log = logging.getLogger(__name__)

LINE_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may ask, and what the starter starts whatever it is asked."""

    allow_uid: int
    config: Path
    prefix: Path
    signal_address: Address


def serve(listener: socket.socket, rules: Rules) -> Never:
    """Answer callers for ever."""
    listener.setblocking(True)
    while True:
        connection, _ = listener.accept()
        with connection:
            _serve_one(connection, rules)


def _serve_one(connection: socket.socket, rules: Rules) -> None:
    try:
        _check_caller(connection, rules.allow_uid)
        reply = StarterReply(units=answer(_read_request(connection), rules))
    except ViscriptError as error:
        log.warning("refused: %s", error)
        reply = StarterReply(error=str(error), unsure=isinstance(error, UnsureStartError))
    except OSError as error:
        log.warning("connection lost: %s", error)
        return
    try:
        connection.settimeout(LINE_DEADLINE_S)
        connection.sendall(msgspec.json.encode(reply) + b"\n")
    except OSError as error:
        log.warning("reply not taken: %s", error)


def answer(request: StarterRequest, rules: Rules) -> tuple[Unit, ...]:
    """Do what is asked; the units it was about. Raises ViscriptError."""
    match request:
        case StartUnit(app, app_id, args):
            _check_config(rules.config)
            config = load_config(rules.config)
            if app not in config.apps:
                raise NoSuchAppError(app)
            if any(unit.id == app_id for unit in systemd.list_units()):
                raise StartError(f"id {app_id} is running already")
            systemd.run_unit(make_run_argv(config.apps[app], app_id, args, rules.prefix, rules.signal_address))
            return _find_started(app, app_id)
        case StopUnit(app_id, signal):
            units = tuple(unit for unit in systemd.list_units() if unit.id == app_id)
            if not units:
                raise NoSuchIdError(app_id)
            for unit in units:
                if unit.pid:
                    systemd.signal_unit(unit.unit, signal)
                else:
                    systemd.stop_unit(unit.unit)
                log.info("%s to %s", signal.value, unit.unit)
            return units
        case ListUnits():
            return systemd.list_units()


def _find_started(app: str, app_id: int) -> tuple[Unit, ...]:
    wanted = unit_name(app, app_id)
    try:
        units = tuple(unit for unit in systemd.list_units() if unit.unit == wanted and unit.pid)
    except StartError as error:
        raise UnsureStartError(str(error)) from error
    if not units:
        raise StartError(f"'{app}' ended as soon as it was started")
    log.info("started %s", wanted)
    return units


def _check_config(path: Path) -> None:
    """What may be started is root's to say: a file that another user can write says nothing. Raises ConfigError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ConfigError(f"{path}: others can write it (run: chown root {path}; chmod go-w {path})")


def _check_caller(connection: socket.socket, allow_uid: int) -> None:
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if uid != allow_uid:
        raise ProtocolError(f"user {uid} may not ask for this")


def _read_request(connection: socket.socket) -> StarterRequest:
    deadline, data = time.monotonic() + LINE_DEADLINE_S, b""
    while b"\n" not in data:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise ProtocolError("no line in time")
        connection.settimeout(left_s)
        try:
            chunk = connection.recv(65_536)
        except TimeoutError:
            raise ProtocolError("no line in time") from None
        data += chunk
        if not chunk or len(data) > MAX_LINE:
            raise ProtocolError("half a line" if not chunk else f"a line of more than {MAX_LINE} bytes")
    try:
        request: StarterRequest = msgspec.json.decode(data.partition(b"\n")[0], type=StarterRequest)
        return request
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a request: {error}") from error
