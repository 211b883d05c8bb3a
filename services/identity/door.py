"""Answers one question about the identity on a connection, to the users it is for; nothing of it is logged.

A new identity is only laid beside the present one, as `next`: whatever runs goes on with the one that it has, and
`settle` changes them over at the next boot.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import struct
import time
from collections.abc import Collection
from pathlib import Path

from services import keys, seed_file, words
from services.errors import IdentityError
from services.identity.errors import DoorError
from services.identity.words import (
    MAX_LINE,
    Answer,
    Export,
    Exported,
    Refused,
    Request,
    Restore,
    Restored,
    Show,
    Shown,
    read_request,
)
from services.lines import encode

ASK_WITHIN_S = 10.0
NEXT = "next"


def answer_one(asker: socket.socket, folder: Path, users: Collection[str]) -> bool:
    """`folder` holds the seed. Whether another identity waits now because of this asker, who may be gone; OSError for
    one who is gone for nothing.
    """
    asker.settimeout(ASK_WITHIN_S)
    laid = False
    try:
        line = _read_line(asker)
        _check_user(asker, users)
        request = read_request(line)
        answer = decide(request, folder)
        laid = isinstance(answer, Restored) and answer.node_id != answer.before and not _only_looks(request)
    except IdentityError as error:
        answer = Refused(str(error))
    with contextlib.suppress(OSError) if laid else contextlib.nullcontext():
        asker.sendall(encode(answer))
    return laid


def decide(request: Request, folder: Path) -> Answer:
    """Raises IdentityError; then nothing was changed."""
    with seed_file.read(folder / "seed") as seed:
        before = keys.Identity(seed).node_id
        match request:
            case Show():
                return Shown(before)
            case Export():
                return Exported(before, tuple(words.to_words(seed)))
            case Restore(text, look):
                return _restore(text, folder, before, look=look)


def _only_looks(request: Request) -> bool:
    return isinstance(request, Restore) and request.look


def _restore(text: str, folder: Path, before: str, *, look: bool) -> Restored:
    with words.read_words(text) as seed:
        node_id = keys.Identity(seed).node_id
        if not look:
            try:
                (folder / NEXT).unlink(missing_ok=True)
            except OSError as error:
                raise DoorError(f"cannot take away '{folder / NEXT}': {error.strerror}") from None
            if node_id != before:
                seed_file.create(folder / NEXT, seed)
    return Restored(node_id, before)


def _read_line(asker: socket.socket) -> bytes:
    line, ends_s = b"", time.monotonic() + ASK_WITHIN_S
    while not line.endswith(b"\n"):
        try:
            data = asker.recv(MAX_LINE)
        except TimeoutError:
            data = b""
        line += data
        if not data or len(line) > MAX_LINE or time.monotonic() > ends_s:
            raise DoorError("that is no request: expected one line")
    return line


def _check_user(asker: socket.socket, users: Collection[str]) -> None:
    credentials = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    if uid not in {0, os.geteuid()} and _name(uid) not in users:
        raise DoorError(f"user {uid} may not ask about this board's identity: log in as {' or '.join(sorted(users))}")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
