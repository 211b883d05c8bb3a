"""Managers' engines with real servers on loopback addresses of their own, and nodes that use them, well or badly."""

import asyncio
import itertools
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from services.keys import Identity, new_seed
from services.manager.bus import Bus, Message
from services.manager.engine import Engine
from services.manager.server_config import client_url
from services.secrecy import Secret

DEADLINE_S = 30.0

needs_server = pytest.mark.skipif(
    shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin") is None, reason="needs nats-server"
)

_numbers = itertools.count()


def new_address() -> IPv4Address:
    """No other test's, as long as process ids differ in 18 bits."""
    return IPv4Address((127 << 24) + ((64 << 16) | (os.getpid() & 0x3FFF) << 8) + 10 + next(_numbers) % 240)


@asynccontextmanager
async def running_engine(
    folder: Path, secret: Secret | None = None, address: IPv4Address | None = None
) -> AsyncIterator[tuple[Engine, Identity, IPv4Address]]:
    manager, address = Identity(new_seed()), address or new_address()
    engine = Engine(manager, secret or new_seed(), address, folder)
    await engine.start()
    try:
        yield engine, manager, address
    finally:
        await engine.stop()


@dataclass
class Member:
    """A node on the bus; what it was told and what reached it is kept."""

    identity: Identity
    bus: Bus
    told: list[str]
    heard: list[Message] = field(default_factory=list)

    async def hear(self, message: Message) -> None:
        self.heard.append(message)


@asynccontextmanager
async def member(engine: Engine, address: IPv4Address, identity: Identity | None = None) -> AsyncIterator[Member]:
    identity, told = identity or Identity(new_seed()), list[str]()
    bus = Bus(identity, told.append)
    await bus.connect([client_url(address)], lambda: engine.node_token(identity.node_id, int(time.time()), None))
    here = Member(identity, bus, told)
    for subject in (f"down.{identity.node_id}.>", f"_INBOX.{identity.node_id}.>"):
        await bus.listen(subject, here.hear)
    await bus.flush()
    try:
        yield here
    finally:
        await bus.close()


async def until(holds: Callable[[], bool], what: str, within_s: float = DEADLINE_S) -> float:
    """How long it took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < within_s, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.005)
    return time.monotonic() - started


def run(test: Awaitable[None], within_s: float = 200) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await test

    asyncio.run(bounded())
