"""Notes whose network this board joined: a layer of node.yaml for the node's next start. Whole, or not there."""

from __future__ import annotations

import json
from pathlib import Path

from services.pairing.errors import DoorError
from services.pairing.model import Welcome
from viscript.durable import write_whole


def joined_text(welcome: Welcome) -> str:
    """Every place names the manager: no other is taken there."""
    head = f"# joined by pairing with {json.dumps(welcome.network)}; a factory reset forgets it"
    rows = [f"  - {{at: {json.dumps(at)}, id: {json.dumps(welcome.manager_id)}}}" for at in welcome.at]
    return "\n".join([head, "managers:", *rows, ""])


def write_joined(path: Path, welcome: Welcome) -> None:
    """It is on the disk when this returns. Raises DoorError; then what was there is still there."""
    try:
        write_whole(path, joined_text(welcome).encode(), 0o600)
    except OSError as error:
        raise DoorError(f"cannot note whose network this is in '{path}': {error.strerror}") from None
