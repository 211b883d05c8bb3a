"""Where viscript's files are when nobody says so: on a board fixed places, on a workstation the user's own."""

from __future__ import annotations

import os
from pathlib import Path

RUN_SOCKET = Path("/run/viscript/api.sock")


def runtime_directory() -> Path:
    """The daemon's directory on tmpfs, for state and socket."""
    if base := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(base, "viscript")
    if os.getuid() == 0:  # under /tmp anyone could make root's directory first
        return RUN_SOCKET.parent
    return Path(f"/tmp/viscript-{os.getuid()}")  # noqa: S108 (the daemon and `shell_socket` check its owner)


def shell_socket() -> Path:
    """The socket a shell uses: VISCRIPT_SOCKET, else the user's own daemon, else the machine's."""
    if chosen := os.environ.get("VISCRIPT_SOCKET"):
        return Path(chosen)
    own = runtime_directory() / "api.sock"
    if _is_others(own.parent):
        return RUN_SOCKET
    return RUN_SOCKET if not own.exists() and RUN_SOCKET.exists() else own


def _is_others(directory: Path) -> bool:
    """Whether somebody else made it, and could listen there in the daemon's place."""
    try:
        return directory.lstat().st_uid != os.getuid()
    except FileNotFoundError:
        return False
    except OSError:
        return True


def user_config() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base, "viscript", "config.yaml")


def user_history() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base, "viscript", "history")
