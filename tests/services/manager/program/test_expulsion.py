"""Who is expelled is out everywhere within two seconds, and comes back by name or invitation only."""

import asyncio
import time
from pathlib import Path

import pytest

from services.manager import asks
from services.manager.errors import BusError, JoinError, RefusedError
from services.manager.manager import Manager
from tests.fakes.local_node import FakeLocalNode
from tests.services.manager.engine.rack import needs_server, until
from tests.services.manager.program.ends import Node, nodes, run, running_manager
from tests.services.manager.program.test_desk import begin, link, new_routes, refused, signed_request

pytestmark = needs_server

OUT_WITHIN_S = 2.0


async def opened(a: Node, d: Node, through: Node) -> str:
    begun = await begin(a, d, new_routes())
    assert await a.ask(asks.Open(signed_request(a, d, begun))) == asks.Opened()
    return next(path.route for path in begun.paths if through.id in path.nodes)


async def is_out(bad: Node, others: list[Node], manager: Manager, fake: FakeLocalNode, route: str) -> None:
    assert bad.bus is not None
    await until(lambda: not bad.bus.is_connected, "its connection is closed", OUT_WITHIN_S)  # type: ignore[union-attr]
    await until(lambda: bad.id not in fake.members, "the node here forgets it", OUT_WITHIN_S)
    for other in others:
        await other.until(lambda other=other: bad.id in other.expelled, "others are told", OUT_WITHIN_S)  # type: ignore[misc]
        await other.until(lambda other=other: route not in other.labels, "its labels go", OUT_WITHIN_S)  # type: ignore[misc]
    await until(lambda: bad.id not in manager.keeper.graph, "no route leads through it", OUT_WITHIN_S)
    assert manager.directory.find(node_id=bad.id) == []
    assert route not in manager.book.labels


def test_out_everywhere_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, fake), nodes(manager, 4) as (a, b, c, d):
            await link(manager, (a, b), (b, d), (a, c), (c, d))
            await b.say_services("socks")
            await until(lambda: len(manager.directory.find("socks")) == 1, "the service is known")
            route = await opened(a, d, b)
            kept = {*manager.book.labels} - {route}
            started = time.monotonic()
            await manager.expulsion.expel(b.id, "a test")
            await is_out(b, [a, c, d], manager, fake, route)
            took = time.monotonic() - started
            print(f"out everywhere after {took:.2f} s")
            assert took < OUT_WITHIN_S
            assert {*manager.book.labels} == kept, "routes without it stay"
            with pytest.raises(JoinError, match="was expelled"):
                await b.join(manager.door.port)
            assert "not in this network" in await refused(a, asks.Begin(b.id, "x", new_routes()))
            await manager.engine.store.readmit(b.id)
            await manager.engine.store.allow(b.id)
            await until(lambda: b.id in manager.registry.allowed, "it is allowed")
            await b.connect(await b.join(manager.door.port))
            assert await b.ask(asks.Ping()) == asks.Done()
            assert b.id in fake.members

    run(test())


def test_a_node_that_was_away_hears_of_it_when_it_asks(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), nodes(manager, 3) as (a, b, c):
            await manager.engine.lease.wait_held(30)
            await a.close()
            await manager.expulsion.expel(b.id, "a test")
            await c.until(lambda: b.id in c.expelled, "who is there hears it at once")
            await a.connect(await a.join(manager.door.port))
            assert await a.ask(asks.Labels()) == asks.Done()
            assert a.expelled == {b.id}
            assert set(a.neighbours) == {manager.me, c.id}

    run(test())


def test_managers_are_not_expelled_and_reports_of_the_expelled_are_not_kept(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), nodes(manager, 2) as (a, b):
            with pytest.raises(RefusedError, match="manager's own node"):
                await manager.expulsion.expel(manager.me, "a test")
            talking = asyncio.create_task(keep_talking(a, b))
            await asyncio.sleep(0.2)
            await manager.expulsion.expel(a.id, "a test")
            await talking
            await until(lambda: a.id not in manager.keeper.graph and not manager.keeper.is_heard(a.id), "it is gone", 5)
            assert await manager.engine.store.record(a.id) is None
            assert a.id not in await manager.engine.store.links()

    run(test())


async def keep_talking(node: Node, other: Node) -> None:
    """Until it is cut off."""

    try:
        while node.bus is not None and node.bus.is_connected:
            node.sequence += 1
            await node.say("record", node.record())
            await node.say_links(other)
    except BusError:
        return
