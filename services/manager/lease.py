"""One of the managers leads: a key of the bus, taken and renewed by compare-and-set. No clock is compared with another.

A holder stops `HOLD_S` after it *sent* the last renewal that succeeded; others take over `LEASE_S` after they last
*saw* a renewal, each by its own monotonic clock. Seeing is later than sending, and LEASE_S is longer: two never hold at
once. A bucket with a time-to-live was rejected: it runs on the servers' clocks, and boards have none to rely on.

    revision = epoch · 2³² + n     what orders carry: a later leader's are always higher, and no write numbers an order
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from services.keys import NodeId
from services.manager.bucket import Bucket, Shape, open_bucket
from services.manager.bus import Bus, Entry
from services.manager.ending import end_tasks
from services.manager.errors import BusError, ConflictError

log = logging.getLogger(__name__)

LEASE_S, HOLD_S, RENEW_S, LOOK_S = 3.0, 2.25, 0.75, 0.25

LEASES = Shape("leases", in_memory=True, max_bytes=1 << 20)
EPOCHS = Shape("epochs", in_memory=False, max_bytes=1 << 20)
"""Written once for each change of leader; its sequence is the epoch, and outlives a restart of all servers."""


class Lease:
    """Tries for ever, in its own task, from `start` to `stop`."""

    def __init__(self, me: NodeId, key: str, leases: Bucket, epochs: Bucket) -> None:
        self._me, self._key = me, key
        self._leases, self._epochs = leases, epochs
        self._task: asyncio.Task[None] | None = None
        self._revision = 0
        self._until = 0.0
        self._epoch = self._count = 0
        self._changed = asyncio.Condition()
        self._seen: tuple[NodeId | None, float] = (None, 0.0)

    @property
    def is_held(self) -> bool:
        """Ask right before every act of a leader: it ends by the clock, without a word from anybody."""
        return time.monotonic() < self._until and self._epoch > 0

    @property
    def holder(self) -> NodeId | None:
        """Who leads, as far as it is known here."""
        by, at = self._seen
        if self.is_held:
            return self._me
        return by if time.monotonic() - at < LEASE_S else None

    def next_revision(self) -> int:
        """Of the next order. Raises BusError unless the lease is held."""
        if not self.is_held:
            raise BusError("this manager does not lead now: another signs the orders (ask again)")
        self._count += 1
        return self._epoch << 32 | self._count

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep_trying())

    async def stop(self) -> None:
        """Gives it back at once where it is held."""
        if self._task is None:
            return
        await end_tasks([self._task])
        self._task = None
        held, self._until = self.is_held, 0.0
        if held:
            with contextlib.suppress(BusError):
                await self._leases.update(self._key, b"", self._revision)

    async def wait_held(self, within_s: float) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(lambda: self.is_held)

    async def _keep_trying(self) -> None:
        seen, seen_at = -1, 0.0
        while True:
            try:
                if self.is_held:
                    await asyncio.sleep(RENEW_S)
                    await self._take(self._revision)
                    continue
                entry = await self._look()
                revision = entry.revision if entry is not None else 0
                if revision != seen:
                    seen, seen_at = revision, time.monotonic()
                    by = NodeId(entry.value.decode()) if entry is not None and entry.value else None
                    self._seen = by, seen_at
                if entry is None or not entry.value or time.monotonic() - seen_at >= LEASE_S:
                    await self._take(revision)
                    await self._begin()
            except ConflictError:
                self._until = 0.0
            except (BusError, TimeoutError) as error:
                log.debug("lease '%s': %s", self._key, error)
            if not self.is_held:
                self._epoch = 0
                await asyncio.sleep(LOOK_S)

    async def _look(self) -> Entry | None:
        async with asyncio.timeout(LEASE_S):
            return await self._leases.get(self._key)

    async def _take(self, revision: int) -> None:
        sent = time.monotonic()
        async with asyncio.timeout(HOLD_S):
            self._revision = await self._leases.update(self._key, self._me.encode(), revision)
        self._until = sent + HOLD_S

    async def _begin(self) -> None:
        """An epoch of its own, before anybody is told that it leads."""
        async with asyncio.timeout(HOLD_S):
            self._epoch = await self._epochs.put(self._key, self._me.encode())
        self._count = 0
        async with self._changed:
            self._changed.notify_all()


async def open_lease(bus: Bus, me: NodeId, key: str, replicas: int) -> Lease:
    return Lease(me, key, await open_bucket(bus, LEASES, replicas), await open_bucket(bus, EPOCHS, replicas))
