"""Where a messenger keeps and offers things unless it is told otherwise: beside what is its node's."""

from __future__ import annotations

import os
from pathlib import Path

from services.node import places as node_places

SOCKET_VARIABLE = "MESSENGER_SOCKET"
SOCKET = "messenger.sock"


def usual_config() -> Path:
    return node_places.usual_config().with_name("messenger.yaml")


def usual_folder() -> Path:
    """Messages and files: what must outlive a reboot."""
    return node_places.usual_card().with_name("messenger")


def usual_socket() -> Path:
    """Also MESSENGER_SOCKET, for whoever looks for the messenger; the board's where one's own is not there."""
    told = os.environ.get(SOCKET_VARIABLE)
    if told:
        return Path(told)
    own = node_places.usual_ram().with_name("messenger") / SOCKET
    board = node_places.ROOT_RUN / "messenger" / SOCKET
    return board if board.exists() and not own.exists() else own
