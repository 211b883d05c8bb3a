"""Serves the starter's socket: who may ask, one line in, one line out, a deadline for each.

One request at a time; what is done for it is in `actions`.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from typing import Never

import msgspec

from viscript.errors import ProtocolError, UnsureStartError, UsageError, ViscriptError
from viscript.launcher.starter.actions import Rules, answer
from viscript.launcher.starter.files import Files
from viscript.launcher.starter.model import MAX_LINE, StarterReply, StarterRequest

log = logging.getLogger(__name__)

LINE_DEADLINE_S = 5.0


def serve(listener: socket.socket, rules: Rules, files: Files) -> Never:
    """Answer callers for ever."""
    files.hold_inputs()
    files.trim_for_ever()
    listener.setblocking(True)
    while True:
        connection, _ = listener.accept()
        with connection:
            _serve_one(connection, rules, files)


def _serve_one(connection: socket.socket, rules: Rules, files: Files) -> None:
    try:
        _check_caller(connection, rules.allow_uid)
        reply = StarterReply(units=answer(_read_request(connection), rules, files))
    except ViscriptError as error:
        log.warning("refused: %s", error)
        unsure, usage = isinstance(error, UnsureStartError), isinstance(error, UsageError)
        reply = StarterReply(error=str(error), unsure=unsure, usage=usage)
    except OSError as error:
        log.warning("connection lost: %s", error)
        return
    try:
        connection.settimeout(LINE_DEADLINE_S)
        connection.sendall(msgspec.json.encode(reply) + b"\n")
    except OSError as error:
        log.warning("reply not taken: %s", error)


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
