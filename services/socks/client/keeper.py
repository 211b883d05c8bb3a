"""Keeps the pool: looks into the directory, opens sessions ahead of need, and brings back servers that had failed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from services.app.choice import Choice
from services.app.errors import NoServerError
from services.app.finding import find, reach
from services.app.refusals import Refusals
from services.node.client import NodeClient
from services.node.errors import NodeError
from services.socks.client.pool import Known, Pool
from services.socks.server.config import SERVICE

FOUND_EACH_S, MEASURED_EACH_S = 60.0, 300.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
KNOCK_WITHIN_S = 3.0
SPARES, SPARES_AT_RANDOM = 2, 8

log = logging.getLogger(__name__)


class Keeper:
    """`trouble` says why no server is ready, or nothing. `on_news` is called whenever one has become so."""

    def __init__(self, pool: Pool, choice: Choice, node: Path | None, on_news: Callable[[], None]) -> None:
        self._pool, self._choice, self._node, self._on_news = pool, choice, node, on_news
        self._wanted = asyncio.Event()
        self._refusals = Refusals(log)
        self.trouble = "looks for servers"

    def want(self) -> None:
        """A server failed, or somebody waits for one."""
        self._wanted.set()

    async def run(self) -> None:
        """For ever."""
        pause_s, found_s = FIRST_PAUSE_S, 0.0
        each_s = MEASURED_EACH_S if self._choice.by == "fastest" else FOUND_EACH_S
        while True:
            self._wanted.clear()
            try:
                async with NodeClient(self._node) as node:
                    if time.monotonic() >= found_s or not self._pool.known:
                        self._pool.take(await find(node, SERVICE, self._choice))
                        found_s = time.monotonic() + each_s
                    await self._open(node)
            except (NoServerError, NodeError, OSError) as error:
                self._note("no server", str(error))
            if all(one.is_well for one in self._pool.known) and self._pool.known:
                pause_s = FIRST_PAUSE_S
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                if not any(one.is_well for one in self._pool.known):
                    found_s = 0.0
                    continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(each_s, LONGEST_PAUSE_S * 6)):
                    await self._wanted.wait()

    async def _open(self, node: NodeClient) -> None:
        spares = SPARES_AT_RANDOM if self._choice.by == "random" else SPARES
        for one in self._pool.to_open(spares):
            if sum(other.is_well for other in self._pool.known) >= spares:
                break
            await self._bring_back(node, one)

    async def _bring_back(self, node: NodeClient, one: Known) -> None:
        try:
            await reach(node, one.server, self._choice.policy)
            await _knock(one.server.address, one.server.port)
        except (NoServerError, OSError) as error:
            why = str(error) or "does not answer in time"
            self._pool.failed(one, time.monotonic(), why)
            self._note("server", f"server '{one.server.node_id}': {why}")
            return
        self._pool.worked(one)
        self.trouble = ""
        self._on_news()

    def _note(self, cause: str, trouble: str) -> None:
        self._refusals.note(cause, trouble)
        self.trouble = "" if any(one.is_well for one in self._pool.known) else trouble


async def _knock(address: str, port: int) -> None:
    """Raises OSError where nobody listens there."""
    async with asyncio.timeout(KNOCK_WITHIN_S):
        _, writer = await asyncio.open_connection(address, port)
    writer.transport.abort()
