"""Makes the API's UNIX socket without a moment at which it has the wrong owner, mode or no listener behind
it.
"""

from __future__ import annotations

import grp
import socket
from pathlib import Path

from viscript.errors import DaemonBusyError, ViscriptError
from viscript.signal.peers import make_unix_listener

MODE = 0o660


def make_listener(path: Path, group: str | None) -> socket.socket:
    """A listening socket at `path`, mode 0660. A stale one is replaced, a live one is respected.

    Raises DaemonBusyError or ViscriptError.
    """
    if _is_live(path):
        raise DaemonBusyError(f"another viscript already listens at '{path}'")
    try:
        gid = grp.getgrnam(group).gr_gid if group is not None else None
        return make_unix_listener(path, MODE, gid)[0]
    except KeyError:
        raise ViscriptError(f"group '{group}' does not exist (make it, or leave --group out)") from None
    except OSError as error:
        raise ViscriptError(f"cannot listen at '{path}': {error.strerror or error}") from error


def _is_live(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
