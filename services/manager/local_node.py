"""The node on this machine, which alone touches the kernel: the manager tells it whom to let in. A door to its socket.

It bears the same identity. What it was told is its own to keep; `life` rises whenever it was reached anew, and then
everything is told again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

import msgspec

from services.keys import NodeId
from services.manager.errors import LocalNodeError
from services.node.api_words import Border, Done, GetSeen, GetStatus, ManagerPeer, Member, Seen, Status, Unmember
from services.node.client import NodeClient
from services.node.errors import NodeError, NodeRefusedError

T = TypeVar("T", bound=msgspec.Struct)

ANSWER_WITHIN_S = 10.0


class LocalNode:
    """Every method raises LocalNodeError: it is away, or it refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._client: NodeClient | None = None
        self._turn = asyncio.Lock()
        self.life = 0

    async def member(self, node_id: NodeId, addresses: Collection[str], *, renew: bool = False) -> None:
        """It may have a session with this node, from any of these underlay addresses; `renew` forgets its clock."""
        await self._ask(Member(node_id, tuple(addresses), renew), Done)

    async def unmember(self, node_id: NodeId) -> None:
        await self._ask(Unmember(node_id), Done)

    async def manager_peer(self, node_id: NodeId, endpoint: str) -> None:
        await self._ask(ManagerPeer(node_id, endpoint), Done)

    async def border(self, node_id: NodeId, addresses: Collection[str], endpoint: str, *, renew: bool = False) -> None:
        """Another cluster's border: it may speak with the manager here; it is no member."""
        await self._ask(Border(node_id, tuple(addresses), endpoint, renew), Done)

    async def seen(self) -> Seen:
        return await self._ask(GetSeen(), Seen)

    async def status(self) -> Status:
        return await self._ask(GetStatus(), Status)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _ask(self, request: msgspec.Struct, kind: type[T]) -> T:
        async with self._turn:
            try:
                if self._client is None:
                    client = NodeClient(self._path)
                    await client.start()
                    self._client = client
                    self.life += 1
                return await self._client.ask(request, kind, ANSWER_WITHIN_S)
            except NodeError as error:
                await self._forget(error)
                raise LocalNodeError(str(error)) from None
            except BaseException:
                await self.close()
                raise

    async def _forget(self, error: NodeError) -> None:
        """A refusal is an answer; after anything else the connection is another."""
        if not isinstance(error, NodeRefusedError):
            await self.close()
