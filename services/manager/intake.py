"""What comes up from the nodes, by whom and how much: each message to its handler, answers only into the asker's inbox.

The sender is what the subject says, since the server lets nobody else publish there. NATS has no rate limit per client,
so it is here: who floods is told to `on_flood` once, and unheard until the server has closed its connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from services.keys import NodeId
from services.manager.bus import Bus, Message
from services.manager.ending import end_tasks
from services.manager.errors import BusError, ManagerError
from services.manager.limits import Limits
from services.manager.subjects import ALL_UP, UP, is_own_inbox, sender

log = logging.getLogger(__name__)

Handler = Callable[[NodeId, bytes], Awaitable[bytes | None]]
"""Who, and what; an answer or none. What it raises of ours is logged."""

PER_S, BURST = 50.0, 500
FLOOD = 2000
"""So many messages over the limit within ten seconds are no accident."""

MAX_AT_ONCE, MAX_OF_ONE = 256, 16
HANDLE_WITHIN_S = 10.0


class Intake:
    def __init__(self, bus: Bus, on_flood: Callable[[NodeId], Awaitable[None]]) -> None:
        self._bus, self._on_flood = bus, on_flood
        self._handlers: dict[str, Handler] = {}
        self._limits = Limits(PER_S, BURST)
        self._over: Counter[NodeId] = Counter()
        self._over_since_s = 0.0
        self._at_once: Counter[NodeId] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: Callable[[], Awaitable[None]] | None = None

    def handle(self, what: str, handler: Handler) -> None:
        """From now on, in the place of a former one; `what` is one of `subjects.UP`."""
        if what not in UP:
            raise ValueError(f"no node publishes {what!r}")
        self._handlers[what] = handler

    async def start(self, queue: str = "managers") -> None:
        """Each message reaches one manager of the queue. Raises BusError."""
        self._end = await self._bus.listen(ALL_UP, self._take, queue)

    async def stop(self) -> None:
        if self._end is not None and self._bus.is_connected:
            await self._end()
        await end_tasks(self._tasks)

    async def _take(self, message: Message) -> None:
        found = sender(message.subject)
        if found is None:
            return
        node_id, what = found
        if not self._limits.allows(node_id, time.monotonic()):
            self._count_flood(node_id)
            return
        handler = self._handlers.get(what)
        if handler is None or len(self._tasks) >= MAX_AT_ONCE or self._at_once[node_id] >= MAX_OF_ONE:
            return
        self._start(node_id, self._handle(handler, node_id, message))

    async def _handle(self, handler: Handler, node_id: NodeId, message: Message) -> None:
        try:
            async with asyncio.timeout(HANDLE_WITHIN_S):
                answer = await handler(node_id, message.data)
                if answer is None or not message.reply:
                    return
                if is_own_inbox(node_id, message.reply):
                    await self._bus.publish(message.reply, answer)
                else:
                    log.warning("node '%s' wants its answer sent to '%.120s': refused", node_id, message.reply)
        except TimeoutError:
            log.warning("'%s' took longer than %g s: given up", message.subject, HANDLE_WITHIN_S)
        except ManagerError as error:
            log.warning("'%s': %s", message.subject, error)

    def _count_flood(self, node_id: NodeId) -> None:
        now_s = time.monotonic()
        if now_s - self._over_since_s > 10:
            self._over.clear()
            self._over_since_s = now_s
        self._over[node_id] += 1
        if self._over[node_id] == FLOOD:
            log.warning("node '%s' floods the manager", node_id)
            self._start(node_id, self._tell_flood(node_id))

    async def _tell_flood(self, node_id: NodeId) -> None:
        try:
            await self._on_flood(node_id)
        except BusError as error:
            log.warning("node '%s' floods, and cannot be stopped: %s", node_id, error)

    def _start(self, node_id: NodeId, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        self._at_once[node_id] += 1

        def ended(task: asyncio.Future[None]) -> None:
            self._tasks.discard(task)
            self._at_once[node_id] -= 1
            if not self._at_once[node_id]:
                del self._at_once[node_id]
            if not task.cancelled() and task.exception() is not None:
                log.error("node '%s': a handler failed", node_id, exc_info=task.exception())

        task.add_done_callback(ended)
