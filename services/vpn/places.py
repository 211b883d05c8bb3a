"""Where a VPN program keeps and offers things unless it is told otherwise: beside what is its node's, and on a board
configured by the image.
"""

from __future__ import annotations

import os
from pathlib import Path

from services.node import places as node_places


def usual_ram(program: str) -> Path:
    return node_places.usual_ram().with_name(program)


def usual_card(program: str) -> Path:
    return node_places.usual_card().with_name(program)


def usual_config(program: str) -> Path:
    if node_places.is_board():
        return Path(f"/etc/skywire/{program}.yaml")
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base, "skywire", f"{program}.yaml")
