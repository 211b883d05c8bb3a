"""Keeps the server's list of who may not connect equal to what the store says: expelled nodes, and muted floods.

A change reaches every server of the cluster through NATS's system account, which closes the connections of who is new
on the list. The same list goes into the configuration, for the server's next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection

import msgspec

from services.keys import NodeId
from services.manager.bus import Bus
from services.manager.credentials import Authority
from services.manager.ending import end_tasks
from services.manager.errors import BusError, EngineError
from services.manager.store import Store

log = logging.getLogger(__name__)

LOOK_AGAIN_S, LOOK_RARELY_S = 10.0, 120.0
"""Also without a change: a mute runs out unsaid; rarely, where nobody is muted."""


class Gate:
    """`in_force` are the tokens that the server has; `configure` is given those for its next start."""

    def __init__(
        self,
        authority: Authority,
        system: Bus,
        store: Store,
        in_force: dict[str, str],
        configure: Callable[[dict[str, str]], None],
    ) -> None:
        self._authority, self._system, self._store, self._configure = authority, system, store, configure
        self._in_force = in_force
        self._again_s = LOOK_AGAIN_S
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """The list of now is in force when it returns. Raises BusError, EngineError."""
        await self._look()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._keep()),
            *(loop.create_task(self._hear(follow)) for follow in self._store.follows_of_refused()),
        ]

    async def stop(self) -> None:
        await end_tasks(self._tasks)

    def look(self) -> None:
        """Somebody may have come on the list: who heard of it first says so."""
        self._news.set()

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._again_s):
                    await self._news.wait()
            self._news.clear()
            try:
                await self._look()
            except (BusError, EngineError) as error:
                self._again_s = LOOK_AGAIN_S
                log.warning("the list of refused nodes is not in force: %s", error)

    async def _look(self) -> None:
        expelled, muted = await self._store.refused()
        await self._apply(expelled | muted)
        self._again_s = LOOK_AGAIN_S if muted else LOOK_RARELY_S

    async def _hear(self, follow: Callable[[], AsyncIterator[object]]) -> None:
        while True:
            try:
                async for _ in follow():
                    self._news.set()
            except BusError as error:
                log.warning("changes of refused nodes are seen late: %s", error)
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _apply(self, refused: Collection[NodeId]) -> None:
        tokens = self._authority.account_tokens(refused)
        if tokens == self._in_force:
            return
        self._configure(tokens)
        account = self._authority.mesh_account
        answer = await self._system.ask(f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.UPDATE", tokens[account].encode())
        told = msgspec.json.decode(answer)
        if not isinstance(told, dict) or "error" in told:
            raise BusError(f"the server refuses the list of expelled nodes: {told}")
        self._in_force = tokens
