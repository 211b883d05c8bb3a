"""What the shell's commands ask the manager of this board, and its refusals as the shell's errors. Loads its client
only when it is asked.
"""

# ruff: noqa: PLC0415 (a shell whose board has no manager loads nothing of it)
from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from viscript.errors import RefusedError, ServiceAwayError

if TYPE_CHECKING:
    import msgspec

T = TypeVar("T", bound="msgspec.Struct")

START = "start manager"


def ask(request: msgspec.Struct, kind: type[T]) -> T:
    """Raises ServiceAwayError, RefusedError."""
    from services.manager import client
    from services.manager.errors import ManagerAwayError, ManagerError

    try:
        return client.ask(request, kind)
    except ManagerAwayError as error:
        raise ServiceAwayError(f"{error}\nIs one here, and not started? Try '{START}'.") from None
    except ManagerError as error:
        raise RefusedError(str(error)) from None


def peers() -> list[tuple[str, str]]:
    """Clusters by the ids of their managers: for completion."""
    from services.manager.api_words import GetPeers, Peers

    return [(one.name or one.manager_id, one.stage) for one in ask(GetPeers(), Peers).peers]
