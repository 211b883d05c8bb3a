"""What of this machine is set for a tunnel, in order: closed in before a route changes, and opened by command alone.
Each step can be done again, so a client that starts after a crash begins by doing it.
"""

from __future__ import annotations

import asyncio
import logging
from ipaddress import IPv4Network

import msgspec

from services.kernel.errors import DoorError
from services.node.errors import NodeError
from services.node.kept import Kept
from services.vpn.client import gateway, kernel, tables
from services.vpn.client.config import Config
from services.vpn.client.resolver import Resolver, pick_resolver
from services.vpn.client.ways import Lent, to_avoid, wanted
from services.vpn.errors import KeptError, ResolverError, StartError
from services.vpn.kill_switch import door, kept
from services.vpn.kill_switch.rules import Rules, rules
from services.vpn.server.forwarding import Switches, needed

log = logging.getLogger(__name__)

KEPT, REVERSE_PATH = "kept", "reverse-path"
TUNNEL = "sky0"


class Machine:
    """Raises DoorError where the kernel refuses. `is_closed`: the kill switch is loaded, as far as known."""

    def __init__(self, config: Config, resolver: Resolver | None = None) -> None:
        self._config = config
        self._resolver = resolver or pick_resolver(config.resolv_conf, redirects=config.dns == "redirect")
        self._lent: Lent | None = None
        self._kept: Rules | None = None
        self._turn = asyncio.Lock()
        self.is_closed = False

    async def close_in(self) -> None:
        """The kill switch first; then nothing goes anywhere but by a tunnel. Raises StartError."""
        async with self._turn:
            await asyncio.to_thread(self._close_in)

    async def enter(self, lent: Lent) -> None:
        """Raises ResolverError too."""
        async with self._turn:
            self._lent = lent
            await asyncio.to_thread(self._enter, lent)
            if self._uses_dns(lent):
                await self._resolver.use(lent)

    async def mend(self) -> None:
        """Whatever others changed meanwhile is as it was, with a tunnel or without. As `close_in` and `enter`."""
        async with self._turn:
            await asyncio.to_thread(self._close_in)
            lent = self._lent
            if lent is None:
                return
            if self._config.gateways and not await asyncio.to_thread(tables.has, gateway.NAME):
                await asyncio.to_thread(self._enter, lent)
            if self._uses_dns(lent) and await self._resolver.use(lent):
                log.warning("the resolver was changed by another program: set again to the tunnel's")

    async def to_avoid(self) -> tuple[IPv4Network, ...]:
        return to_avoid(await asyncio.to_thread(kernel.own_addresses))

    async def leave(self) -> None:
        """All but the kill switch is as it was before."""
        async with self._turn:
            self._lent = None
            try:
                await self._resolver.restore()
            except ResolverError as error:
                log.error("%s", error)
            await asyncio.to_thread(self._clear)

    async def open_up(self) -> bool:
        """The kill switch is off, at the next boot too; whether it was on. Raises KeptError."""
        return await asyncio.to_thread(open_up, self._config)

    async def kill_switch(self) -> door.KillSwitch:
        return await asyncio.to_thread(door.read)

    def _uses_dns(self, lent: Lent) -> bool:
        return self._config.dns != "leave" and bool(lent.dns)

    def _close_in(self) -> None:
        uplinks = self._config.gateways and sorted(kernel.default_devices() & set(self._config.gateways))
        if self._config.kill_switch:
            self.is_closed = False
            loaded = load(self._config)
            self.is_closed = True
            self._keep(loaded)
        kernel.bring(wanted(self._config.only_networks, self._config.excluded_networks, self._lent))
        before = kernel.loosen()
        if before is not None:
            self._ram().write(REVERSE_PATH, before)
        if uplinks:
            raise StartError(
                f"'{uplinks[0]}' is a way out of this machine, not one to neighbours: take it from gateways"
            )

    def _keep(self, loaded: Rules) -> None:
        """For the next boot; where the card cannot be written, it is on all the same."""
        if loaded == self._kept:
            return
        self._kept = loaded
        try:
            kept.remember(self._config.card, loaded)
        except KeptError as error:
            log.warning("the kill switch will be off after a reboot: %s", error)

    def _enter(self, lent: Lent) -> None:
        config = self._config
        kernel.bring(wanted(config.only_networks, config.excluded_networks, lent))
        if not config.gateways:
            return
        devices = (TUNNEL, *config.gateways)
        Switches(self._ram()).turn(needed(devices, devices))
        dns = lent.dns if config.dns != "leave" else ()
        tables.run(gateway.gateway_text(config.gateways, lent.ipv4, lent.ipv6, dns, lent.mtu))

    def _clear(self) -> None:
        for step in (kernel.clear, tables.drop_all, self._put_back):
            try:
                step()
            except (DoorError, NodeError) as error:
                log.error("not taken away: %s", error)

    def _put_back(self) -> None:
        """What was switched in the kernel for all programs; a killed client's too."""
        if not (self._config.ram / KEPT).is_dir():
            return
        ram = self._ram()
        Switches(ram).turn(set())
        before = ram.read(REVERSE_PATH, str)
        if before is not None:
            kernel.tighten(before)
            ram.remove(REVERSE_PATH)

    def _ram(self) -> Kept:
        return Kept(self._config.ram / KEPT, named_in="vpn-client.yaml")


def load(config: Config) -> Rules:
    """Loads the kill switch. No interface that leads out is let pass as a gateway. Raises DoorError."""
    told = config.exceptions
    gateways = tuple(name for name in told.gateways if name not in kernel.default_devices())
    found = rules(msgspec.structs.replace(told, gateways=gateways))
    door.put(found)
    return found


def close(config: Config) -> None:
    """Loads it, and keeps it for the next boot. Raises DoorError, KeptError."""
    kept.remember(config.card, load(config))


def restore(config: Config) -> bool:
    """As it was before the power went; whether it was on. Raises DoorError, KeptError."""
    found = kept.recall(config.card)
    if found is not None:
        door.put(found)
    return found is not None


def open_up(config: Config) -> bool:
    """Raises DoorError, KeptError."""
    was_on = door.drop()
    kept.forget(config.card)
    return was_on


async def take_down(config: Config) -> bool:
    """What a client that was killed left behind, the kill switch last: whether that was on. Raises VpnError."""
    machine = Machine(config)
    await machine.leave()
    return await machine.open_up()
