"""What of this machine is set for a tunnel, in order: closed in before a route changes, and opened by command alone.
Each step can be done again, so a client that starts after a crash begins by doing it.
"""

from __future__ import annotations

import asyncio
import logging
from ipaddress import IPv4Address, IPv6Address

from services.kernel import sysctl
from services.kernel.errors import DoorError
from services.vpn.client import gateway, kernel, tables
from services.vpn.client.config import Config, IpNetwork
from services.vpn.client.resolver import Resolver, pick_resolver
from services.vpn.client.ways import Lent, to_avoid, wanted
from services.vpn.errors import ResolverError, StartError
from services.vpn.kill_switch import door as kill_switch

log = logging.getLogger(__name__)


class Machine:
    """Raises DoorError where the kernel refuses."""

    def __init__(self, config: Config, resolver: Resolver | None = None) -> None:
        self._config = config
        self._resolver = resolver or pick_resolver(config.resolv_conf, redirects=config.dns == "redirect")
        self._lent: Lent | None = None

    async def close_in(self) -> None:
        """The kill switch first; then nothing goes anywhere but by a tunnel. Raises StartError."""
        await asyncio.to_thread(self._close_in)

    async def enter(self, lent: Lent) -> None:
        """Raises ResolverError too."""
        await asyncio.to_thread(self._enter, lent)
        if self._config.dns != "leave" and lent.dns:
            await self._resolver.use(lent)
        self._lent = lent

    async def mend(self) -> None:
        """Whatever others changed meanwhile is as it was."""
        if self._lent is None:
            return
        await asyncio.to_thread(self._close_in)
        if self._config.dns != "leave" and self._lent.dns and await self._resolver.use(self._lent):
            log.warning("the resolver was changed by another program: set again to the tunnel's")

    async def to_avoid(self) -> tuple[IpNetwork, ...]:
        return to_avoid(await asyncio.to_thread(kernel.own_addresses))

    async def leave(self) -> None:
        """All but the kill switch is as it was before."""
        self._lent = None
        try:
            await self._resolver.restore()
        except ResolverError as error:
            log.error("%s", error)
        await asyncio.to_thread(_clear)

    async def open_up(self) -> None:
        await asyncio.to_thread(kill_switch.drop)

    async def kill_switch(self) -> kill_switch.KillSwitch:
        return await asyncio.to_thread(kill_switch.read)

    def _close_in(self) -> None:
        config = self._config
        if config.kill_switch:
            kill_switch.put(config.exceptions)
        both = sorted(kernel.default_devices() & set(config.gateways))
        if both:
            raise StartError(f"'{both[0]}' is a way out of this machine, not one to neighbours: take it from gateways")
        kernel.loosen()
        kernel.bring(wanted(config.only_networks, config.excluded_networks, self._lent))

    def _enter(self, lent: Lent) -> None:
        config = self._config
        kernel.bring(wanted(config.only_networks, config.excluded_networks, lent))
        if not config.gateways:
            return
        kernel.forward_ipv4()
        for name in config.gateways:
            sysctl.forward(name, on=True)
        dns: tuple[IPv4Address | IPv6Address, ...] = lent.dns if config.dns != "leave" else ()
        tables.run(gateway.gateway_text(config.gateways, lent.ipv4, lent.ipv6, dns, lent.mtu))


def _clear() -> None:
    for step in (kernel.clear, tables.drop_all):
        try:
            step()
        except DoorError as error:
            log.error("not taken away: %s", error)


async def take_down(config: Config) -> bool:
    """What a client that was killed left behind, the kill switch last: whether that was on."""
    machine = Machine(config)
    await machine.leave()
    return await asyncio.to_thread(kill_switch.drop)
