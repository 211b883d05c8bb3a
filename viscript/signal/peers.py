"""Who is at the other end of a connection, and a UNIX socket to be connected to; nothing here decides.

Over TCP both addresses are known, over a UNIX socket the process that connected (SO_PEERCRED, Linux). The
number may be another process's once that one has ended.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING

from viscript.signal.model import Peer

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

BACKLOG = 128
_CREDENTIALS = struct.Struct("iII")


def read_peer(transport: asyncio.Transport) -> Peer | None:
    """None when it has left already."""
    end = transport.get_extra_info("socket")
    try:
        if end.family == getattr(socket, "AF_UNIX", None):
            return Peer("", 0, "", 0, _read_pid(end))
        name, own = end.getpeername(), end.getsockname()
    except OSError:
        return None
    return Peer(name[0], name[1], own[0], own[1])


def is_gone(pid: int | None) -> bool:
    """Whether that process is known to have ended."""
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def make_unix_listener(path: Path, mode: int, gid: int | None = None) -> tuple[socket.socket, int]:
    """A listening socket at `path`, replacing what a former server left there, and the file's inode. There is no
    moment at which it has another mode or group, or no listener behind it. Raises OSError.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        draft.unlink(missing_ok=True)
        umask = os.umask(0o177)
        try:
            listener.bind(str(draft))
        finally:
            os.umask(umask)
        if gid is not None:
            os.chown(draft, -1, gid)
        draft.chmod(mode)
        listener.listen(BACKLOG)
        draft.replace(path)
        return listener, path.stat().st_ino
    except OSError:
        listener.close()
        draft.unlink(missing_ok=True)
        raise


def remove_unix_listener(path: Path, inode: int) -> None:
    """Unlink our socket, unless another has taken its place."""
    with contextlib.suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()


def _read_pid(end: socket.socket) -> int | None:
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    pid, _, _ = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid or None
