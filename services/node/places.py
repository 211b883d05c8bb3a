"""Where a node keeps and offers things unless it is told otherwise: the board's and root's places, else the user's own.

configuration   read at the start
socket          its API
ram             what a restart of the process needs, gone with a reboot
card            the little that must outlive a reboot
"""

from __future__ import annotations

import os
from pathlib import Path

BOARD_FOLDER = Path("/data")
ROOT_RUN = Path("/run/skywire")


def usual_config() -> Path:
    return _data() / "node.yaml"


def usual_socket() -> Path:
    """Also NODE_SOCKET, for whoever looks for the node."""
    told = os.environ.get("NODE_SOCKET")
    return Path(told) if told else _run() / "node.sock"


def usual_ram() -> Path:
    return _run() / "node"


def usual_card() -> Path:
    return _data() / "node"


def _run() -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR")
    return ROOT_RUN if os.geteuid() == 0 or not base else Path(base, "skywire")


def is_board() -> bool:
    return (BOARD_FOLDER / "identity").is_dir()


def _data() -> Path:
    if is_board():
        return BOARD_FOLDER / "mesh"
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base, "skywire")
