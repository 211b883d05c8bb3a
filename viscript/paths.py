"""Where viscript's files are when nobody says so: on a board fixed places, on a workstation the user's own."""

from __future__ import annotations

import os
from pathlib import Path

RUN_SOCKET = Path("/run/viscript/api.sock")


def runtime_directory() -> Path:
    """The daemon's directory on tmpfs, for state and socket."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base, "viscript") if base else Path(f"/tmp/viscript-{os.getuid()}")  # noqa: S108 (owner checked)


def shell_socket() -> Path:
    """The socket a shell uses: VISCRIPT_SOCKET, else the user's own daemon, else the machine's."""
    if chosen := os.environ.get("VISCRIPT_SOCKET"):
        return Path(chosen)
    own = runtime_directory() / "api.sock"
    return RUN_SOCKET if not own.exists() and RUN_SOCKET.exists() else own


def user_config() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base, "viscript", "config.yaml")


def user_history() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base, "viscript", "history")
