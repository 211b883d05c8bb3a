"""Has the node carry what clients are leased, on one connection that is made anew, with all of it, when the node was
restarted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path

from services.keys import NodeId
from services.node.api_words import Carried, Carry, Done, Uncarry
from services.node.client import NodeClient
from services.node.errors import NodeError, NodeRefusedError
from services.vpn.errors import LeaseError
from services.vpn.words import IpAddress

log = logging.getLogger(__name__)

LINGERS_S = 20.0
"""So long the node carries on for a server that is started again."""

LOOK_S, AGAIN_S = 0.5, 2.0


class Carriers:
    def __init__(self, node: Path) -> None:
        self._path = node
        self._node = NodeClient(node)
        self._turn = asyncio.Lock()
        self._carried: dict[NodeId, Carry] = {}
        self.trouble = ""
        """Why the node cannot be asked, or nothing."""

    async def close(self) -> None:
        await self._node.close()

    async def run(self) -> None:
        """For ever: misses the node, and asks for everything again when it is back."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._node.is_gone:
                async with self._turn:
                    try:
                        await self._reach()
                    except NodeError as error:
                        self._note(str(error))

    async def carry(self, node_id: NodeId, addresses: Iterable[IpAddress]) -> int:
        """The MTU of the session. Raises LeaseError."""
        wish = Carry(node_id, tuple(str(ip_network(one)) for one in addresses), forwards=True, lingers_s=LINGERS_S)
        async with self._turn:
            try:
                await self._reach()
                if (old := self._carried.pop(node_id, None)) is not None:
                    await self._node.ask(Uncarry(node_id, old.networks), Done)
                carried = await self._node.ask(wish, Carried)
            except NodeError as error:
                raise LeaseError(f"this server's node does not carry it: {error}", AGAIN_S) from None
            self._carried[node_id] = wish
        return carried.mtu

    async def drop(self, node_id: NodeId) -> None:
        async with self._turn:
            if node_id not in self._carried:
                return
            try:
                await self._reach()
                await self._node.ask(Uncarry(node_id, self._carried[node_id].networks), Done)
            except NodeError as error:
                log.debug("not taken back from '%s': %s", node_id, error)
            del self._carried[node_id]

    async def _reach(self) -> None:
        """Raises NodeError."""
        if not self._node.is_gone:
            return
        await self._node.close()
        self._node = NodeClient(self._path)
        await self._node.start()
        for wish in tuple(self._carried.values()):
            try:
                await self._node.ask(wish, Carried)
            except NodeRefusedError as error:
                log.warning("client '%s' is not carried any more: %s", wish.node_id, error)
        self._note("")

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble
