"""Where a manager keeps and offers things unless it is told otherwise: beside what is its node's."""

from __future__ import annotations

import os
from pathlib import Path

from services.node import places as node_places

SOCKET_VARIABLE = "MANAGER_SOCKET"


def usual_config() -> Path:
    return node_places.usual_config().with_name("manager.yaml")


def usual_folder() -> Path:
    return node_places.usual_card().with_name("manager")


def usual_socket() -> Path:
    """Also MANAGER_SOCKET, for whoever looks for the manager."""
    told = os.environ.get(SOCKET_VARIABLE)
    return Path(told) if told else node_places.usual_ram().with_name("manager.sock")
