"""What nodes say of their boards is kept at a measured pace, however fast they say it: a member must not wear the
manager's card.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from services.keys import NodeId
from services.manager.ending import end_tasks
from services.manager.errors import BusError
from services.updates.model import BoardState

log = logging.getLogger(__name__)

PACE_S = 1.0
"""From a node's word being kept to its next one."""


class Paced:
    """Of each node, of what came within `PACE_S` of the last only the newest is kept. `keep` raises BusError."""

    def __init__(self, keep: Callable[[NodeId, BoardState], Awaitable[None]]) -> None:
        self._keep = keep
        self._busy: set[NodeId] = set()
        self._waiting: dict[NodeId, BoardState] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def is_busy(self, node_id: NodeId) -> bool:
        return node_id in self._busy

    async def take(self, node_id: NodeId, state: BoardState) -> None:
        """Kept when it returns, or a moment later unless something newer comes. Raises BusError."""
        if node_id in self._busy:
            self._waiting[node_id] = state
            return
        self._busy.add(node_id)
        try:
            await self._keep(node_id, state)
        finally:
            task = asyncio.get_running_loop().create_task(self._keep_later(node_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        await end_tasks([*self._tasks])

    async def _keep_later(self, node_id: NodeId) -> None:
        while True:
            await asyncio.sleep(PACE_S)
            state = self._waiting.pop(node_id, None)
            if state is None:
                self._busy.discard(node_id)
                return
            try:
                await self._keep(node_id, state)
            except BusError as error:
                log.info("what board '%s' said is kept later: %s", node_id[:12], error)
                self._waiting.setdefault(node_id, state)
