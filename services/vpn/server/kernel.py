"""The server's door to the kernel: its nftables table, its routes to clients, its forwarding switches. One thread does
it all, in order; nothing is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_network
from typing import Any, TypeVar

import msgspec

from services.kernel.errors import AbsentError, DoorError
from services.kernel.fib import Fib
from services.kernel.model import MAIN_TABLE, SESSIONS, Change, Drop, Put, Route
from services.kernel.nft_library import Library
from services.vpn.server.forwarding import Switches
from services.vpn.server.ruleset import MARK, NAME
from services.vpn.words import IpAddress

PROTOCOL = 84
"""Of the VPN's routes; in no rt_protos file."""

DEADLINE_S = 30.0

T = TypeVar("T")
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Found:
    """What the table has counted. `served`: addresses of clients that are let through, with their number."""

    counters: dict[str, Pair] = field(default_factory=dict)
    used: dict[int, int] = field(default_factory=dict)
    sent: dict[int, Pair] = field(default_factory=dict)
    received: dict[int, Pair] = field(default_factory=dict)
    served: dict[IPv4Address, int] = field(default_factory=dict)


class Kernel:
    """Raises DoorError, KeptError."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kernel")
        self._nft: Library | None = None
        self._fib: Fib | None = None

    async def start(self) -> None:
        await self._do(self._open)

    async def close(self) -> None:
        await self._do(self._close)
        self._thread.shutdown(wait=False)

    async def run(self, text: str) -> None:
        """One transaction of nftables."""
        if text.strip():
            await self._do(lambda: self._opened[0].run(text))

    async def drop_table(self) -> None:
        await self.run(f"table inet {NAME} {{}}\ndelete table inet {NAME}")

    async def read(self) -> Found:
        return await self._do(self._read)

    async def route(self, mtus: dict[IpAddress, int]) -> None:
        """These addresses, and no others, are reached in the sessions, with packets of that size."""
        await self._do(lambda: self._route(mtus))

    async def switch(self, wanted: set[str]) -> None:
        await self._do(lambda: self._switches.turn(wanted))

    # in the thread

    @property
    def _opened(self) -> tuple[Library, Fib]:
        assert self._nft is not None
        assert self._fib is not None
        return self._nft, self._fib

    def _open(self) -> None:
        self._nft, self._fib = Library(), Fib(PROTOCOL)

    def _close(self) -> None:
        for door in (self._nft, self._fib):
            if door is not None:
                door.close()

    def _read(self) -> Found:
        nft, _ = self._opened
        try:
            text = nft.run(f"list table inet {NAME}")
        except AbsentError:
            return Found()
        listing = msgspec.json.decode(text, type=_Listing)
        found = Found()
        for item in listing.nftables:
            _take(item, found)
        return found

    def _route(self, mtus: dict[IpAddress, int]) -> None:
        _, fib = self._opened
        wanted = {Route(ip_network(place), SESSIONS, mtu=mtu) for place, mtu in mtus.items()}
        there = {route for route in fib.read() if route.device == SESSIONS and route.table == MAIN_TABLE}
        kept = {route.destination for route in wanted}
        changes: list[Change] = [
            *(Put(route) for route in wanted - there),
            *(Drop(route) for route in there if route.destination not in kept),
        ]
        failed = [reason for reason in fib.change(changes) if reason]
        if failed:
            raise DoorError(failed[0])

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except TimeoutError:
            raise DoorError(f"the kernel has not answered for {DEADLINE_S:g} s (look at dmesg)") from None


class _Thing(msgspec.Struct):
    name: str = ""
    packets: int = 0
    bytes: int = 0
    used: int = 0
    elem: list[Any] = []


class _Item(msgspec.Struct):
    counter: _Thing | None = None
    quota: _Thing | None = None
    set: _Thing | None = None
    map: _Thing | None = None


class _Listing(msgspec.Struct):
    nftables: list[_Item]


class _Counted(msgspec.Struct):
    val: int
    counter: _Thing


class _Element(msgspec.Struct):
    elem: _Counted


def _take(item: _Item, found: Found) -> None:
    if item.counter is not None:
        found.counters[item.counter.name] = (item.counter.packets, item.counter.bytes)
    elif item.quota is not None:
        found.used[int(item.quota.name[1:])] = item.quota.used
    elif item.set is not None and item.set.name in {"sent", "received"}:
        into = found.sent if item.set.name == "sent" else found.received
        into |= dict(_counts(item.set.elem))
    elif item.map is not None and item.map.name == "numbers4":
        found.served.update((IPv4Address(address), number & ~MARK) for address, number in item.map.elem)


def _counts(elements: Sequence[Any]) -> Iterable[tuple[int, Pair]]:
    for element in msgspec.convert(elements, list[_Element]):
        yield element.elem.val & ~MARK, (element.elem.counter.packets, element.elem.counter.bytes)
