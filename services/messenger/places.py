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


def own_socket() -> Path:
    """Where one's own messenger listens; also MESSENGER_SOCKET."""
    told = os.environ.get(SOCKET_VARIABLE)
    return Path(told) if told else node_places.usual_ram().with_name("messenger") / SOCKET


def usual_socket() -> Path:
    """For whoever looks for the messenger: the board's where one's own is not there."""
    own, board = own_socket(), node_places.ROOT_RUN / "messenger" / SOCKET
    return board if SOCKET_VARIABLE not in os.environ and board.exists() and not own.exists() else own
