"""The way out: gives leases, and keeps firewall, routes, forwarding switches and the node in step with them and with
the uplink, whichever that is just now.

What a killed server left stands until its clients are back, or for a grace: no packet of theirs is lost by a restart.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, ip_address, ip_network

import msgspec

from services.kernel.errors import KernelError
from services.kernel.model import SESSIONS
from services.keys import NodeId
from services.node.errors import KeptError, NodeError
from services.node.kept import Kept
from services.node.own import RELAYED_MTU
from services.vpn import words
from services.vpn.errors import LeaseError
from services.vpn.server import ruleset
from services.vpn.server.carriers import LINGERS_S, Carriers
from services.vpn.server.config import Config
from services.vpn.server.forwarding import needed
from services.vpn.server.kernel import Found, Kernel
from services.vpn.server.leases import RESOLVER_NUMBER, KeptLeases, Lease, Leases, address6, network6, resolver4
from services.vpn.server.ruleset import Client, Policy
from services.vpn.server.uplink import Changes, Uplink, read_uplink
from services.vpn.words import IpAddress, IpNetwork, Leased

log = logging.getLogger(__name__)

SETTLE_S, LOOK_S, COUNT_S = 0.2, 10.0, 5.0
LEAST_MTU6 = 1280
NO_UPLINK_AGAIN_S, MOVED_AGAIN_S = 5.0, 0.5
HOUR_S = 3600.0

_LEASES, _QUOTA = "leases", "quota"


class Quota(msgspec.Struct, frozen=True):
    """When it began, and what was used of it when the server was stopped, by node id."""

    began_unix_s: float
    used: dict[NodeId, int] = {}


@dataclass(frozen=True, slots=True)
class Served:
    lease: Lease
    ipv6: IPv6Address | None
    mtu: int
    since_unix_s: int


class Exit:
    def __init__(self, config: Config, me: NodeId, kernel: Kernel, carriers: Carriers, ram: Kept, card: Kept) -> None:
        self._config, self._kernel, self._carriers, self._ram, self._card = config, kernel, carriers, ram, card
        self._network6 = network6(me)
        pool = IPv4Network(config.pool)
        known = card.read(_LEASES, KeptLeases)
        self._leases = Leases(pool, known.read(pool) if known is not None else ())
        self._made: set[int] = set()
        self._lingering: dict[NodeId, Lease] = {}
        self._turn = asyncio.Lock()
        self.uplink = Uplink()
        self.served: dict[NodeId, Served] = {}
        self.end: Callable[[NodeId, str, float | None], None] = lambda *_: None
        """Ends a client's connection: why, and when to ask again."""

    @property
    def trouble(self) -> str:
        """Why nobody can be let out just now, or nothing."""
        return self._carriers.trouble or ("" if self.uplink.devices4 else "this machine has no default route")

    @property
    def pools(self) -> tuple[IPv4Network, ...]:
        return tuple(self._leases.pools)

    @property
    def has_ipv6(self) -> bool:
        return self._config.ipv6 and bool(self.uplink.devices6)

    # from start to end

    async def start(self) -> None:
        """Adopts what a server before left. Raises KernelError, NodeError."""
        found = await self._kernel.read()
        if self._config.quota_bytes is not None:
            self._recall_used(found)
        self.uplink = read_uplink()
        self._lingering = {
            lease.node_id: lease for lease in self._leases.all if found.served.get(lease.ipv4) == lease.number
        }
        await self._rebuild(found)
        if self._lingering:
            log.info("%d clients of the server before are let through until they are back", len(self._lingering))

    async def run(self) -> None:
        """For ever: follows the uplink and counts."""
        changes = Changes()
        grace_s = asyncio.get_running_loop().time() + LINGERS_S
        counted_s = 0.0
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(COUNT_S):
                        await changes.happened.wait()
                await asyncio.sleep(SETTLE_S)
                changes.happened.clear()
                try:
                    await self.look()
                    now_s = asyncio.get_running_loop().time()
                    if self._lingering and now_s >= grace_s:
                        await self._end_grace()
                    if now_s - counted_s >= COUNT_S:
                        counted_s = now_s
                        await self._count()
                except (KernelError, NodeError) as error:
                    log.warning("not all is as wanted: %s", error)
        finally:
            changes.close()

    async def stop(self) -> None:
        """Takes everything out of the kernel again."""
        async with self._turn:
            for node_id in tuple(self.served):
                await self._carriers.drop(node_id)
            self.served.clear()
            self._keep_used((await self._kernel.read()).used)
            await self._kernel.drop_table()
            await self._kernel.route({})
            await self._kernel.switch(set())

    # clients

    async def lease(self, asked: words.Lease) -> Leased:
        """Lets the client out, until `release`. Raises LeaseError, KernelError, NodeError."""
        async with self._turn:
            if not self.uplink.devices4:
                raise LeaseError("this server has no uplink just now", NO_UPLINK_AGAIN_S)
            if asked.id not in self.served and len(self.served) >= self._config.clients:
                raise LeaseError(f"this server has its {self._config.clients} clients already", NO_UPLINK_AGAIN_S)
            left = await self._left(asked.id)
            pools, before = self.pools, self._leases.get(asked.id)
            avoid = [*asked.networks(), *self._taken()]
            lease, is_new = self._leases.lease(asked.id, avoid, {*self.served, *self._lingering})
            if is_new:
                await self._begin(lease, before)
            try:
                served = await self._serve(lease, anew=self.pools != pools)
            except BaseException:
                await self._release(asked.id)
                raise
            return self._words(served, left)

    async def release(self, node_id: NodeId) -> None:
        async with self._turn:
            await self._release(node_id)

    async def _begin(self, lease: Lease, before: Lease | None) -> None:
        """Its address before is no more; what another client had used, whose number it was, is not its own."""
        await self._release(lease.node_id)
        self._keep()
        if before is None and lease.number in self._made:
            found = await self._kernel.read()
            for counted in (found.used, found.sent, found.received):
                counted.pop(lease.number, None)
            await self._rebuild(found)

    def _keep(self) -> None:
        try:
            self._card.write(_LEASES, KeptLeases.of(IPv4Network(self._config.pool), self._leases.all))
        except KeptError as error:
            log.warning("leases would not outlive a restart: %s", error)

    async def _serve(self, lease: Lease, *, anew: bool) -> Served:
        six = address6(self._network6, lease.number) if self.has_ipv6 else None
        places: list[IpAddress] = [lease.ipv4, *([six] if six else [])]
        mtu = min(await self._carriers.carry(lease.node_id, places), RELAYED_MTU)
        if mtu < LEAST_MTU6:
            six = None
        self._lingering.pop(lease.node_id, None)
        served = self.served[lease.node_id] = Served(lease, six, mtu, int(time.time()))
        if anew:
            await self._rebuild(await self._kernel.read())
        else:
            lines = ruleset.serve(lease, self._network6)
            if lease.number not in self._made:
                lines = [*ruleset.limits(self._policy(), Client(lease)), *lines]
            await self._kernel.run("\n".join([*lines, ""]))
            self._made.add(lease.number)
            await self._route()
        return served

    async def _release(self, node_id: NodeId) -> None:
        """Nothing, where there is nothing."""
        served = self.served.pop(node_id, None)
        lease = served.lease if served is not None else self._lingering.pop(node_id, None)
        if lease is None:
            return
        await self._kernel.run("\n".join([*ruleset.stop_serving(lease, self._network6), ""]))
        await self._route()
        await self._carriers.drop(node_id)

    async def _left(self, node_id: NodeId) -> int | None:
        """Of its quota. Raises LeaseError where nothing is."""
        most, lease = self._config.quota_bytes, self._leases.get(node_id)
        if most is None or lease is None:
            return most
        left = max(0, most - (await self._kernel.read()).used.get(lease.number, 0))
        if not left:
            raise LeaseError(f"the quota of {self._config.quota_mb:g} MB is used up", self._quota_left_s())
        return left

    def _words(self, served: Served, left: int | None) -> Leased:
        resolvers: list[IpAddress] = []
        if self._policy().resolver(4) is not None:
            resolvers.append(resolver4(self._leases.pool_of(served.lease.ipv4)))
        if served.ipv6 is not None and self._policy().resolver(6) is not None:
            resolvers.append(address6(self._network6, RESOLVER_NUMBER))
        return Leased(
            str(served.lease.ipv4),
            str(served.ipv6) if served.ipv6 is not None else None,
            tuple(map(str, resolvers)),
            served.mtu,
            self._config.rate_mbit,
            self._config.quota_bytes,
            left,
        )

    # the uplink

    async def look(self) -> None:
        """What it is now, and all that follows from it."""
        async with self._turn:
            now, before = read_uplink(), self.uplink
            self.uplink = now
            if now != before:
                log.info("the uplink is %s", now.told or "gone")
                await self._rebuild(await self._kernel.read())
                self._move()
            elif not (found := await self._kernel.read()).counters:
                log.warning("the firewall's table was gone: it is made anew, with nothing counted")
                await self._rebuild(found)
            else:
                await self._route()
                await self._switch()

    def _move(self) -> None:
        taken = [network for network in self._taken() if isinstance(network, IPv4Network)]
        for node_id, served in tuple(self.served.items()):
            pool = self._leases.pool_of(served.lease.ipv4)
            if any(pool.overlaps(network) for network in taken):
                self.end(node_id, f"the uplink uses '{pool}' itself now: ask for another address", MOVED_AGAIN_S)

    def _taken(self) -> Sequence[IpNetwork]:
        """Where no client's address may lie."""
        return [*self.uplink.networks, *(ip_network(one) for one in self.resolvers)]

    @property
    def resolvers(self) -> tuple[IpAddress, ...]:
        told = tuple(ip_address(text) for text in self._config.resolvers)
        return told or self.uplink.resolvers

    # the kernel

    def _policy(self) -> Policy:
        return Policy(
            self.pools,
            self._network6,
            self.uplink.networks,
            tuple(map(ip_network, self._config.allow)),
            tuple(map(ip_network, self._config.block)),
            self.resolvers,
            self._config.rate_mbit,
            self._config.quota_bytes,
            self._config.connections,
        )

    async def _rebuild(self, found: Found) -> None:
        """The whole table, with all that was counted."""
        served = {one.lease.number for one in self.served.values()}
        served |= {lease.number for lease in self._lingering.values()}
        clients = [
            Client(
                lease,
                found.used.get(lease.number, 0),
                found.sent.get(lease.number, (0, 0)),
                found.received.get(lease.number, (0, 0)),
                lease.number in served,
            )
            for lease in self._leases.all
            if lease.number in served or lease.number in found.sent or lease.number in found.used
        ]
        await self._kernel.run(ruleset.table(self._policy(), clients, found.counters))
        self._made = {client.lease.number for client in clients}
        await self._route()
        await self._switch()

    async def _route(self) -> None:
        mtus: dict[IpAddress, int] = {}
        for lease in self._lingering.values():
            mtus |= {lease.ipv4: RELAYED_MTU, address6(self._network6, lease.number): RELAYED_MTU}
        for one in self.served.values():
            mtus |= dict.fromkeys([one.lease.ipv4, *([one.ipv6] if one.ipv6 else [])], one.mtu)
        await self._kernel.route(mtus)

    async def _switch(self) -> None:
        devices4 = (SESSIONS, *self.uplink.devices4)
        await self._kernel.switch(needed(devices4, self.uplink.devices6 if self.has_ipv6 else ()))

    async def _end_grace(self) -> None:
        async with self._turn:
            for node_id in tuple(self._lingering):
                await self._release(node_id)

    # quota

    async def _count(self) -> None:
        most = self._config.quota_bytes
        if most is None:
            return
        async with self._turn:
            if self._quota_left_s() <= 0:
                await self._kernel.run(ruleset.new_quotas(most, sorted(self._made)))
                self._ram.write(_QUOTA, Quota(time.time()))
            used = (await self._kernel.read()).used
        for node_id, served in tuple(self.served.items()):
            if used.get(served.lease.number, 0) >= most:
                self.end(node_id, f"the quota of {self._config.quota_mb:g} MB is used up", self._quota_left_s())

    def _quota_left_s(self) -> float:
        """Until it begins anew. A clock that was set back does not make it longer."""
        quota = self._quota()
        whole_s = self._config.quota_hours * HOUR_S
        return max(0.0, min(whole_s, quota.began_unix_s + whole_s - time.time()))

    def _quota(self) -> Quota:
        quota = self._ram.read(_QUOTA, Quota)
        if quota is None:
            quota = Quota(time.time())
            self._ram.write(_QUOTA, quota)
        return quota

    def _keep_used(self, used: dict[int, int]) -> None:
        """For the next server, as long as this machine runs."""
        if self._config.quota_bytes is not None:
            of = {lease.node_id: used[lease.number] for lease in self._leases.all if used.get(lease.number)}
            self._ram.write(_QUOTA, Quota(self._quota().began_unix_s, of))

    def _recall_used(self, found: Found) -> None:
        for node_id, used in self._quota().used.items():
            if (lease := self._leases.get(node_id)) is not None:
                found.used[lease.number] = max(used, found.used.get(lease.number, 0))
