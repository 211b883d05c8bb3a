"""Which other clusters this node's managers have peered with, and which of its services each may use; kept in RAM. What
no manager exports is refused here too, and a session with a cluster that is gone ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from msgspec.structs import replace

from services.keys import NodeId
from services.manager import asks
from services.node.errors import SessionError
from services.node.kept import Kept
from services.node.session_words import Session

_FILE = "borders"

Clusters = Mapping[str, tuple[str, ...]]


class Borders:
    """`on_change` is called once a new list is in force."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        known = kept.read(_FILE, asks.Borders)
        self.clusters: Clusters = _plain(known) if known is not None else {}
        self.on_change: Callable[[], Awaitable[None]] | None = None

    def refusal(self, cluster: str, service: str) -> str:
        """Why a node of that cluster may not have that service, or nothing."""
        if cluster not in self.clusters:
            return f"cluster '{cluster[:64]}' is not peered with that of this node"
        exported = service in self.clusters[cluster]
        return "" if exported else f"service {service[:63]!a} is not exported to cluster '{cluster}'"

    async def take(self, order: asks.Borders) -> None:
        """Raises KeptError, and what `on_change` does."""
        self.clusters = _plain(order)
        if self.on_change is not None:
            await self.on_change()
        self._kept.write(_FILE, order)


class Sessions(Protocol):
    @property
    def words(self) -> tuple[Session, ...]: ...

    async def change(self, session: Session) -> None: ...

    async def close_with(self, node_id: NodeId) -> None: ...


async def hold_to(clusters: Clusters, sessions: Sessions) -> None:
    """Sessions with clusters that are peered no more end; what is exported no more is open no more."""
    for session in [session for session in sessions.words if session.border]:
        allowed = clusters.get(session.border)
        if allowed is None:
            with contextlib.suppress(SessionError):
                await sessions.close_with(session.node_id)
            continue
        left = tuple(name for name in session.granted if name in allowed)
        if left != session.granted:
            await sessions.change(replace(session, granted=left))


def _plain(order: asks.Borders) -> Clusters:
    return {str(manager): services for manager, services in order.clusters.items()}
