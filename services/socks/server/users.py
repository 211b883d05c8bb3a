"""Names and passwords, from a file of `name:password` lines that nobody else can read."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from services.socks.errors import UsersError
from services.socks.model import Credentials

MAX_BYTES = 1 << 20


class Users:
    """Keeps keyed digests alone. Every one is compared, so the time taken says nothing of which was near."""

    def __init__(self, known: list[Credentials]) -> None:
        self._key = secrets.token_bytes(32)
        self._digests = [self._digest(one) for one in known]

    def holds(self, asked: Credentials) -> bool:
        digest, found = self._digest(asked), False
        for known in self._digests:
            found |= hmac.compare_digest(known, digest)
        return found

    def _digest(self, credentials: Credentials) -> bytes:
        name, password = credentials
        return hashlib.blake2b(bytes((len(name),)) + name + password, key=self._key).digest()


def read_credentials(path: Path) -> list[Credentials]:
    """Never none. Raises UsersError."""
    wrong = f"cannot use users '{path}': "
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
                raise UsersError(f"{wrong}others can read it, or it is no plain file (run: chmod 600 '{path}')")
            data = file.read(MAX_BYTES)
    except OSError as error:
        raise UsersError(f"{wrong}{error.strerror} (make it with lines of name:password, mode 0600)") from None
    rows = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip() and line[:1] != b"#"]
    users = [_read_line(line, f"{path}:{number}: ") for number, line in rows]
    if not users:
        raise UsersError(f"{wrong}it names nobody (write lines of name:password)")
    return users


def _read_line(line: bytes, at: str) -> Credentials:
    name, colon, password = line.partition(b":")
    if not colon or not 1 <= len(name) <= 255 or not 1 <= len(password) <= 255:
        raise UsersError(f"{at}expected name:password, each of 1 to 255 bytes")
    return Credentials(name, password)
