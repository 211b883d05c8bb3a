"""Tells the node beside the manager whom to let in: every member, and the other managers. What it holds is brought to
what the registry knows, again whenever the node was away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence

from services.keys import NodeId
from services.manager.config import Other, place_text, read_place
from services.manager.ending import end_tasks
from services.manager.errors import LocalNodeError
from services.manager.local_node import LocalNode
from services.manager.registry import Registry

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 5.0
"""Also without a change: the node may have been started anew."""

RESOLVE_WITHIN_S = 5.0


class Members:
    """`problem` says what keeps the node from being told; empty, where all is told."""

    def __init__(self, me: NodeId, local: LocalNode, registry: Registry, others: Sequence[Other]) -> None:
        self._me, self._local, self._registry, self._others = me, local, registry, others
        self._told: dict[NodeId, tuple[str, ...]] = {}
        self._life = 0
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.problem = ""
        registry.on_record.append(lambda _: self._news.set())
        registry.on_member.append(lambda _: self._news.set())
        registry.on_expelled.append(lambda _: self._news.set())

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])
            self._task = None

    async def join_others(self) -> None:
        """The node reaches the other managers, so that the servers find each other. Raises LocalNodeError."""
        for other in self._others:
            if other.id != self._me:
                await self._local.manager_peer(other.id, await _endpoint(other))

    async def welcome(self, node_id: NodeId, addresses: tuple[str, ...]) -> None:
        """Who joins just now is let in before it is answered, with a clock of its own. Raises LocalNodeError."""
        async with self._turn:
            await self._local.member(node_id, addresses, renew=True)
            if self._life == self._local.life:
                self._told[node_id] = addresses

    async def _keep(self) -> None:
        while True:
            self._news.clear()
            try:
                await self._bring()
                self.problem = ""
            except LocalNodeError as error:
                if not self.problem:
                    log.warning("the node here cannot be told who its members are: %s", error)
                self.problem = str(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._news.wait()

    async def _bring(self) -> None:
        await self._local.seen()  # notices a node that was started anew
        if self._local.life != self._life:
            self._life = self._local.life
            self._told.clear()
            await self.join_others()
        apart = {self._me, *(other.id for other in self._others)}
        for node_id in [*self._told]:
            if node_id not in self._registry.nodes:
                async with self._turn:
                    await self._local.unmember(node_id)
                    self._told.pop(node_id, None)
        for node_id in [*self._registry.nodes]:
            addresses = self._registry.underlay_addresses(node_id)
            if node_id in apart or self._told.get(node_id) == addresses:
                continue
            async with self._turn:
                if node_id in self._registry.nodes:
                    await self._local.member(node_id, addresses)
                    self._told[node_id] = addresses


async def _endpoint(other: Other) -> str:
    """The node takes addresses, a person may write a name."""
    host, _ = read_place(other.at)
    try:
        async with asyncio.timeout(RESOLVE_WITHIN_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, other.session_port, type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError) as error:
        raise LocalNodeError(f"manager '{other.id}' cannot be found at '{other.at}': {error}") from None
    return place_text(str(found[0][4][0]), other.session_port)
