"""The manager's engine, put together: server, connections, store, lease, gate and intake. `__main__` adds the manager.

secret ─ authority ─ nats-server ─┬ bus ────┬ store ─┬ gate ── expelled and muted nodes are kept out
                                  │         ├ lease  └───┐
                                  └ system ─┼────────────┘
                                            └ intake ─ handlers
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from ipaddress import IPv6Address
from pathlib import Path

import msgspec

from services.keys import Identity, NodeId
from services.manager.bucket import Chunks, open_chunks
from services.manager.bus import Bus
from services.manager.credentials import Authority
from services.manager.gate import Gate
from services.manager.intake import Intake
from services.manager.lease import Lease, open_lease
from services.manager.nats_server import NatsServer, kept_accounts
from services.manager.on_disk import OnDisk
from services.manager.server_config import Address, Settings, client_url
from services.manager.store import Store, open_store
from services.secrecy import Secret
from services.updates.objects import BUCKET, STORE_BYTES

log = logging.getLogger(__name__)

TOKEN_S = 7 * 86400
"""How long a node's token lasts; nodes ask for another at half of that."""


class Engine:
    """One manager's. `others` are the other managers of its cluster, by session address."""

    bus: Bus
    store: Store
    bundles: Chunks
    lease: Lease
    intake: Intake
    gate: Gate

    def __init__(
        self, identity: Identity, secret: Secret, address: Address, folder: Path, others: tuple[Address, ...] = ()
    ) -> None:
        self.authority = authority = Authority(secret)
        self._identity, self._others = identity, others
        self._settings = Settings(
            name=identity.node_id,
            address=address,
            folder=folder,
            operator=authority.operator_token(),
            system_account=authority.system_account,
            accounts=kept_accounts(folder) or authority.account_tokens(()),
            route_password=authority.route_password(),
            others=others,
        )
        self.server = NatsServer(self._settings)
        self._undo = AsyncExitStack()

    @property
    def address(self) -> Address:
        return self._settings.address

    @property
    def replicas(self) -> int:
        return 3 if len(self._others) >= 2 else 1

    async def start(self) -> None:
        """All of it, or nothing of it. Raises EngineError, BusError."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        await self.server.start()
        self._undo.push_async_callback(self.server.stop)
        me, authority = self._identity.node_id, self.authority
        self.bus = await self._connect(lambda: authority.manager_token(me))
        system = await self._connect(lambda: authority.system_token(me))
        self.store = await open_store(self.bus, self.replicas, OnDisk(self._settings.folder / "jetstream"))
        self.bundles = await open_chunks(self.bus, BUCKET, STORE_BYTES, self.replicas)
        self.gate = Gate(authority, system, self.store, self._settings.accounts, self._configure)
        await self.gate.start()
        self._undo.push_async_callback(self.gate.stop)
        self.lease = await open_lease(self.bus, me, "leader", self.replicas)
        self.lease.start()
        self._undo.push_async_callback(self.lease.stop)
        self.intake = Intake(self.bus, self.store.mute)
        await self.intake.start()
        self._undo.push_async_callback(self.intake.stop)

    async def stop(self) -> None:
        await self._undo.aclose()

    async def mend(self) -> None:
        """What servers held in memory is gone when they all were away: made anew, empty. Raises BusError."""
        await open_store(self.bus, self.replicas)
        await open_lease(self.bus, self._identity.node_id, "leader", self.replicas)

    def node_token(self, node_id: NodeId, now_unix_s: int, address: IPv6Address | None) -> str:
        return self.authority.node_token(
            node_id, issued_at=now_unix_s, expires_at=now_unix_s + TOKEN_S, address=address
        )

    async def _connect(self, token: Callable[[], str]) -> Bus:
        bus = Bus(self._identity, log.warning)
        urls = [client_url(address) for address in (self._settings.address, *self._others)]
        await bus.connect(urls, token, in_order=True)
        self._undo.push_async_callback(bus.close)
        return bus

    def _configure(self, accounts: dict[str, str]) -> None:
        self._settings = msgspec.structs.replace(self._settings, accounts=accounts)
        self.server.configure(self._settings)
