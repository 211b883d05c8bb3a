"""Announces a pairing on the local network and hears of others: DNS-SD over mDNS (RFC 6763, 6762), while the window is
open. The door to zeroconf. What is heard here proves nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, ip_address

from zeroconf import Error, IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from services.manager.ending import end_tasks
from services.pairing.errors import DoorError

log = logging.getLogger(__name__)

TYPE = "_skywire-pair._tcp.local."
ASK_MS, START_WITHIN_S, END_WITHIN_S = 3000, 10.0, 3.0
MOST = 8
"""Of other boards that are looked up; two are one too many already."""

_WINDOW = re.compile(r"([0-9a-f]{32})\.")


@dataclass(frozen=True, slots=True)
class Found:
    window: str
    name: str
    addresses: tuple[str, ...]
    port: int


class Nearby:
    """`found` and `lost` are called with each other board that pairs."""

    def __init__(self, found: Callable[[Found], None], lost: Callable[[str], None]) -> None:
        self._found, self._lost = found, lost
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._own, self._port = "", 0
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, window: str, name: str, port: int, addresses: Sequence[IPv4Interface]) -> None:
        """Raises DoorError."""
        if not addresses:
            raise DoorError("this board has no IPv4 address yet: is the cable in? (without DHCP it takes a minute)")
        hosts = [str(address.ip) for address in addresses]
        self._own = f"{window}.{TYPE}"
        info = AsyncServiceInfo(
            TYPE,
            self._own,
            addresses=[address.ip.packed for address in addresses],
            port=port,
            properties={"name": name},
            server=f"{window}.local.",
        )
        try:
            async with asyncio.timeout(START_WITHIN_S):
                self._zeroconf = AsyncZeroconf(interfaces=hosts, ip_version=IPVersion.V4Only)
                await self._zeroconf.async_register_service(info)
        except (OSError, Error) as error:
            raise DoorError(f"cannot announce the pairing on this network: {error or 'no answer'}") from None
        self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, TYPE, handlers=[self._changed])

    async def close(self) -> None:
        """Says good-bye, so that nobody finds a pairing that is over."""
        await end_tasks(self._tasks.values())
        try:
            async with asyncio.timeout(END_WITHIN_S):
                if self._browser is not None:
                    await self._browser.async_cancel()
                if self._zeroconf is not None:
                    await self._zeroconf.async_unregister_all_services()
                    await self._zeroconf.async_close()
        except (OSError, Error) as error:
            log.info("the pairing's announcement ends without a good-bye: %s", error)

    def _changed(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """Called by zeroconf, with these names, in the event loop."""
        window = _WINDOW.match(name)
        if window is None or name == self._own or service_type != TYPE:
            return
        if state_change is ServiceStateChange.Removed:
            self._lost(window[1])
        elif window[1] not in self._tasks and len(self._tasks) < MOST:
            task = asyncio.get_running_loop().create_task(self._look_up(zeroconf, name, window[1]))
            self._tasks[window[1]] = task

    async def _look_up(self, zeroconf: Zeroconf, name: str, window: str) -> None:
        info = AsyncServiceInfo(TYPE, name)
        if not await info.async_request(zeroconf, ASK_MS):
            log.info("a board announces a pairing and does not say where it is")
        said = (info.decoded_properties or {}).get("name") or ""
        shown = "".join(letter for letter in said[:63] if letter.isalnum() or letter in "-.")
        self._found(Found(window, shown, tuple(info.parsed_addresses(IPVersion.V4Only)), info.port or 0))


def reachable(addresses: Sequence[str], own: Sequence[IPv4Interface]) -> list[str]:
    """Those on a network that this board is on too, and that are not its own."""
    mine = {address.ip for address in own}
    found = [address for text in addresses if isinstance(address := ip_address(text), IPv4Address)]
    return [str(one) for one in found if one not in mine and any(one in address.network for address in own)]
