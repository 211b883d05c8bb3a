"""A bare connection to a program's socket, for those who say what no client does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def raw(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(20)
        end.connect(str(path))
        yield end


def answered(path: Path, data: bytes) -> bytes:
    """All that comes until the other end closes."""
    with raw(path) as end:
        end.sendall(data)
        found = b""
        while part := end.recv(65536):
            found += part
        return found
