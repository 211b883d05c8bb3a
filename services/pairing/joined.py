"""Notes whose network this board joined: a layer of node.yaml for the node's next start. Whole, or not there."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from services.pairing.errors import DoorError
from services.pairing.model import Welcome


def joined_text(welcome: Welcome) -> str:
    """Every place names the manager: no other is taken there."""
    head = f"# joined by pairing with {json.dumps(welcome.network)}; a factory reset forgets it"
    rows = [f"  - {{at: {json.dumps(at)}, id: {json.dumps(welcome.manager_id)}}}" for at in welcome.at]
    return "\n".join([head, "managers:", *rows, ""])


def write_joined(path: Path, welcome: Welcome) -> None:
    """It is on the disk when this returns. Raises DoorError; then what was there is still there."""
    new = path.with_name(f".{path.name}.new")
    try:
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(file, "wb", closefd=True) as stream:  # noqa: PTH123  # by its descriptor
            stream.write(joined_text(welcome).encode())
            stream.flush()
            os.fsync(file)
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise DoorError(f"cannot note whose network this is in '{path}': {error.strerror}") from None
