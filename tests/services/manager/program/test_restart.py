"""The bus goes and comes back under a running manager: nothing durable is lost, and what was in memory is made anew."""

import asyncio
import os
import signal
import time
from pathlib import Path

from services.keys import Identity, new_seed
from services.manager import asks
from services.manager.errors import BusError
from tests.services.manager.engine.rack import needs_server, until
from tests.services.manager.program.ends import Node, nodes, run, running_manager
from tests.services.manager.program.test_desk import begin, link, new_routes, signed_request

pytestmark = needs_server


def test_the_server_is_killed_under_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), nodes(manager, 3) as (a, b, c):
            await link(manager, (a, b), (b, c))
            begun = await begin(a, c, new_routes(1))
            assert await a.ask(asks.Open(signed_request(a, c, begun))) == asks.Opened()
            pid = manager.engine.server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda: not manager.engine.bus.is_connected, "the bus is gone")
            await until(lambda: manager.engine.bus.is_connected, "the bus is back")
            await manager.engine.lease.wait_held(30)
            await until(lambda: all(one.bus is not None and one.bus.is_connected for one in (a, b, c)), "nodes too")
            await until_answered(a)
            fresh = Node(Identity(new_seed()))
            await fresh.join(manager.door.port)
            await link(manager, (a, b), (b, c))
            await a.say_services("socks")
            await until(lambda: len(manager.directory.find("socks")) == 1, "services are followed again")
            assert len(manager.book.labels) == 1
            begun = await begin(a, c, new_routes(1))
            assert await a.ask(asks.Open(signed_request(a, c, begun))) == asks.Opened()
            assert len(await manager.engine.store.labels(b.id)) == 2
            assert (await manager.health.check()).works

    run(test())


async def until_answered(node: Node) -> None:
    give_up = time.monotonic() + 30
    while True:
        try:
            assert await node.ask(asks.Ping(), 1) == asks.Done()
        except BusError:
            assert time.monotonic() < give_up, "nobody answers"
            await asyncio.sleep(0.1)
        else:
            return
