"""Whether the join port is reached from outside the mesh, on a board: only while somebody may come in by it.

It is open where the network is `open`, has an allow-list or other managers, while an invitation is not used up or a
pairing goes on, while another cluster is peered or asked; and as long as there are members, since one whose address or
token changed while it was away is heard by no session, and comes back by this port alone. A board that is a network of
one lets nobody knock. The node, which owns the firewall, opens it as long as our connection lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.keys import NodeId
from services.manager.config import Join
from services.manager.ending import end_tasks
from services.manager.followed import Following
from services.manager.gatekeeper import Gatekeeper
from services.manager.invites import Invitation
from services.manager.peering.peers import Peers
from services.manager.registry import Registry
from services.manager.signed import decode
from services.manager.store import Store
from services.node.api_words import Done, Outside
from services.node.client import NodeClient
from services.node.errors import NodeError

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 5.0
"""Also without a change: invitations run out, pairings end, the node may have been started anew."""

OVER = {"refused", "ended"}


class Exposure:
    """`why` says who may come in just now; empty where the port is shut."""

    def __init__(
        self,
        managers: tuple[NodeId, ...],
        node: Path,
        join: Join,
        port: int,
        registry: Registry,
        peers: Peers,
        gatekeeper: Gatekeeper,
    ) -> None:
        self._managers, self._node, self._join, self._port = managers, node, join, port
        self._registry, self._peers, self._gatekeeper = registry, peers, gatekeeper
        self._invitations: dict[str, Invitation] = {}
        self._following = Following()
        self._held: NodeClient | None = None
        self._news, self._turn = asyncio.Event(), asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        for hearers in (registry.on_record, registry.on_member, registry.on_expelled, peers.on_change):
            hearers.append(lambda _: self._news.set())

    @property
    def why(self) -> str:
        now_unix_s = time.time()
        peers = [peer for peer in self._peers.all.values() if peer.stage not in OVER]
        reasons = {
            "the network is open": self._join.admit == "open",
            "the managers of this cluster": len(self._managers) > 1,
            "nodes are members": any(node_id not in self._managers for node_id in self._registry.nodes),
            "nodes may join by name": bool(self._join.allowed or self._registry.allowed),
            "an invitation is not used up": any(
                one.uses_left > 0 and one.ends_unix_s > now_unix_s for one in self._invitations.values()
            ),
            "a pairing goes on": self._gatekeeper.is_pairing,
            "another cluster is peered or asked": bool(peers),
        }
        return ", ".join(reason for reason, is_so in reasons.items() if is_so)

    async def start(self, store: Store) -> None:
        """Raises BusError."""
        await self._following.start(store, {"invites": self._take})
        await self.bring()
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])
        await self._following.stop()
        await self._shut()

    def follow_anew(self) -> None:
        self._following.follow_anew()

    async def note(self, invitation: Invitation) -> None:
        """It is known at once, before the bucket says it: whoever got it finds the port open."""
        self._invitations[invitation.id] = invitation
        await self.bring()

    async def bring(self) -> None:
        """To what is wanted now; where the node is away, a little later."""
        async with self._turn:
            why = self.why
            if not why:
                await self._shut()
            elif self._held is None or self._held.is_gone:
                await self._shut()
                await self._open(why)

    async def _open(self, why: str) -> None:
        client = NodeClient(self._node)
        try:
            await client.start()
            await client.ask(Outside((f"tcp/{self._port}",)), Done)
        except NodeError as error:
            await client.close()
            log.warning("the join port is not opened: %s", error)
            return
        self._held = client
        log.info("the join port is open: %s", why)

    async def _shut(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            await held.close()
            log.info("the join port is shut")

    async def _keep(self) -> None:
        while True:
            self._news.clear()
            await self.bring()
            gone: Callable[[], Awaitable[object]] = self._held.wait_gone if self._held else self._news.wait
            waits = [asyncio.ensure_future(one()) for one in (self._news.wait, gone)]
            try:
                await asyncio.wait(waits, timeout=LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
                with contextlib.suppress(OSError):
                    await asyncio.gather(*waits, return_exceptions=True)

    def _take(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._invitations.pop(key, None)
        else:
            self._invitations[key] = decode(value, Invitation, "invitation")
        self._news.set()
