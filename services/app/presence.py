"""Keeps a service published: on a connection to the node that is held, and made anew after the node restarted."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import IPv6Address
from pathlib import Path
from typing import Self

from services.app.errors import UnpublishedError
from services.node.api_words import Publish, Published
from services.node.client import NodeClient
from services.node.errors import NodeError, NodeRefusedError

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0


class Presence:
    """`address` is this node's session address, once it was published; `trouble` says why it is not now, or nothing."""

    def __init__(self, wanted: Publish, node: Path | None = None) -> None:
        """`node`: its socket, where it is not the usual one."""
        self._wanted, self._node = wanted, node
        self._task: asyncio.Task[None] | None = None
        self._published = asyncio.Event()
        self.address: IPv6Address | None = None
        self.trouble = "not published yet"

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Withdraws it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait_address(self, within_s: float) -> IPv6Address:
        """Where to listen. Raises UnpublishedError."""
        try:
            async with asyncio.timeout(within_s):
                await self._published.wait()
        except TimeoutError:
            raise UnpublishedError(f"service '{self._wanted.name}' is not published: {self.trouble}") from None
        assert self.address is not None
        return self.address

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with NodeClient(self._node) as node:
                    published = await node.ask(self._wanted, Published)
                    self.address, self.trouble, pause_s = IPv6Address(published.address), "", FIRST_PAUSE_S
                    self._published.set()
                    await node.wait_gone()
                    self._note("the node went away")
            except NodeRefusedError as error:
                self._note(f"the node refuses: {error}")
            except (NodeError, OSError) as error:
                self._note(str(error))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("service '%s' is not published: %s", self._wanted.name, trouble)
        self.trouble = trouble
