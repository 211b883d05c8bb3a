"""What the shell's commands ask the manager of this board, and its refusals as the shell's errors. Loads its client
only when it is asked.
"""

# ruff: noqa: PLC0415 (a shell whose board has no manager loads nothing of it)
from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from viscript.errors import RefusedError, ServiceAwayError

if TYPE_CHECKING:
    import msgspec

T = TypeVar("T", bound="msgspec.Struct")

START = "start manager"
BOARD_SOCKET = Path("/run/skywire/manager.sock")


def ask(request: msgspec.Struct, kind: type[T]) -> T:
    """Raises ServiceAwayError, RefusedError."""
    from services.manager import client
    from services.manager.errors import ManagerAwayError, ManagerError

    try:
        return client.ask(request, kind, board_socket())
    except ManagerAwayError as error:
        raise ServiceAwayError(f"{error}\nIs one here, and not started? Try '{START}'.") from None
    except ManagerError as error:
        raise RefusedError(str(error)) from None


def board_socket() -> Path | None:
    """That of the board, where the person has no manager of their own."""
    from services.manager.places import SOCKET_VARIABLE, usual_socket

    if SOCKET_VARIABLE in os.environ or usual_socket().exists():
        return None
    return BOARD_SOCKET if BOARD_SOCKET.exists() else None


def peers() -> list[tuple[str, str]]:
    """Clusters by the ids of their managers: for completion."""
    from services.manager.api_words import GetPeers, Peers

    return [(one.name or one.manager_id, one.stage) for one in ask(GetPeers(), Peers).peers]
