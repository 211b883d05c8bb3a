"""Asks the update door, without an event loop: for the shell. Answers come one by one as the installation goes on."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from skywire_board.update.words import (
    MAX_LINE,
    SOCKET,
    Answer,
    AskStatus,
    Install,
    Installed,
    MarkSeen,
    Reboot,
    Rebooting,
    Refused,
    Request,
    Status,
    line,
    read_answer,
)

CONNECT_WITHIN_S = 10.0
NEXT_WITHIN_S = 900.0
"""Between two answers: an emulated board reads a whole slot in it."""
CHUNK = 1 << 18


class UpdateAwayError(Exception):
    """The update door cannot be reached, or says what is no answer. On a machine that is no board: always."""


class UpdateRefusedError(Exception):
    """The door answered that it will not; the text says why."""


class UploadError(Exception):
    """What was to be sent could not be read to its end; then nothing is installed."""


def install(asked: Install, upload: BinaryIO | None = None, path: str = SOCKET) -> Iterator[Answer]:
    """Progress, then `Installed`. `upload` is sent as the bundle where the source says that it follows. Raises
    UpdateAwayError, UpdateRefusedError, UploadError.
    """
    for answer in _ask(asked, path, upload, asked.size):
        yield answer
        if isinstance(answer, Installed):
            return
    raise UpdateAwayError("the update door hung up before the installation was done (see: update status)")


def status(path: str = SOCKET, *, seen: bool = False) -> Status:
    """What runs, what waits, what happened last. `seen`: what was rolled back is known, and shows no more."""
    for answer in _ask(MarkSeen() if seen else AskStatus(), path):
        if isinstance(answer, Status):
            return answer
    raise UpdateAwayError("the update door gave no status")


def reboot(path: str = SOCKET) -> None:
    """Back when the board goes down."""
    if not any(isinstance(answer, Rebooting) for answer in _ask(Reboot(), path)):
        raise UpdateAwayError("the update door did not say that the board restarts")


def _ask(request: Request, path: str, upload: BinaryIO | None = None, size: int = 0) -> Iterator[Answer]:
    unread: list[OSError] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        try:
            door.settimeout(CONNECT_WITHIN_S)
            door.connect(path)
            door.settimeout(NEXT_WITHIN_S)
            door.sendall(line(request))
            if upload is not None:
                threading.Thread(target=_send, args=(door, upload, size, unread), daemon=True).start()
            with door.makefile("rb") as answers:
                while text := answers.readline(MAX_LINE):
                    answer = read_answer(text)
                    if isinstance(answer, Refused):
                        raise UpdateRefusedError(answer.text)
                    yield answer
        except (OSError, msgspec.DecodeError) as error:
            if not unread:
                raise UpdateAwayError(
                    f"the update door '{path}' does not answer: {error} (is this a Skywire Board?)"
                ) from error
    if upload is not None and unread:
        why = unread[0].strerror or unread[0]
        raise UploadError(f"'{upload.name}' cannot be read to its end: {why} (is the copy whole?)")


def _send(door: socket.socket, upload: BinaryIO, size: int, unread: list[OSError]) -> None:
    """The upload to its end or to its size; a door that refuses meanwhile says so itself. A read that fails hangs up,
    as half a bundle is none, and is left in `unread`.
    """
    sent = 0
    with contextlib.suppress(OSError, ValueError):
        while chunk := _read(upload, min(CHUNK, size - sent) if size else CHUNK, unread):
            door.sendall(chunk)
            sent += len(chunk)
        if unread:
            door.shutdown(socket.SHUT_RDWR)
        elif not size or sent < size:
            door.shutdown(socket.SHUT_WR)


def _read(upload: BinaryIO, count: int, unread: list[OSError]) -> bytes:
    try:
        return upload.read(count)
    except OSError as error:
        unread.append(error)
        return b""
