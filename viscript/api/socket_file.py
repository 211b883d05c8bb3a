"""Makes the API's UNIX socket without a moment at which it has the wrong owner, mode or no listener behind
it.
"""

from __future__ import annotations

import grp
import os
import socket
from pathlib import Path

from viscript.errors import DaemonBusyError, ViscriptError

MODE = 0o660
BACKLOG = 64


def make_listener(path: Path, group: str | None) -> socket.socket:
    """A listening socket at `path`, mode 0660. A stale one is replaced, a live one is respected.

    Raises DaemonBusyError or ViscriptError.
    """
    if _is_live(path):
        raise DaemonBusyError(f"another viscript already listens at '{path}'")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        draft.unlink(missing_ok=True)
        umask = os.umask(0o177)
        try:
            listener.bind(str(draft))
        finally:
            os.umask(umask)
        if group is not None:
            os.chown(draft, -1, grp.getgrnam(group).gr_gid)
        draft.chmod(MODE)
        listener.listen(BACKLOG)
        draft.replace(path)
    except KeyError:
        listener.close()
        draft.unlink(missing_ok=True)
        raise ViscriptError(f"group '{group}' does not exist (make it, or leave --group out)") from None
    except OSError as error:
        listener.close()
        raise ViscriptError(f"cannot listen at '{path}': {error.strerror or error}") from error
    return listener


def _is_live(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
