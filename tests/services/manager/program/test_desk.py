"""Sessions' routes: asked for at a real bus, laid at every hop or at none."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.addresses import new_route_id
from services.keys import Identity, new_seed
from services.manager import asks
from services.manager.config import Limits
from services.manager.manager import Manager
from services.manager.model import Label
from services.manager.routes.policy import Policy
from services.manager.signed import sign
from tests.services.manager.engine.rack import needs_server, until
from tests.services.manager.program.ends import Node, nodes, run, running_manager

pytestmark = needs_server

FAR = Policy(hops_at_least=2)


def new_routes(count: int = 2) -> tuple[str, ...]:
    return tuple(new_route_id().hex() for _ in range(count))


@asynccontextmanager
async def diamond(folder: Path, limits: Limits | None = None) -> AsyncIterator[tuple[Manager, list[Node]]]:
    """a ─ b ─ d and a ─ c ─ d."""
    async with running_manager(folder, limits=limits) as (manager, _), nodes(manager, 4) as four:
        a, b, c, d = four
        await link(manager, (a, b), (b, d), (a, c), (c, d))
        yield manager, four


async def link(manager: Manager, *pairs: tuple[Node, Node]) -> None:
    everyone = {node.id: node for pair in pairs for node in pair}
    for node in everyone.values():
        others = [other for pair in pairs for other in pair if node in pair and other is not node]
        await node.say_links(*others)
    await until(lambda: manager.keeper.links_up >= len(pairs), "the links are known")
    await manager.engine.lease.wait_held(30)


async def begin(node: Node, responder: Node, routes: tuple[str, ...], policy: Policy = FAR) -> asks.Begun:
    answer = await node.ask(asks.Begin(responder.id, "socks", routes, policy))
    assert isinstance(answer, asks.Begun), answer
    return answer


def signed_request(node: Node, responder: Node, begun: asks.Begun, service: str = "socks") -> bytes:
    routes = tuple(path.route for path in begun.paths)
    words = asks.SessionRequest(node.id, responder.id, service, routes, begun.challenge)
    return sign(node.identity, asks.SESSION_REQUEST, words)


async def refused(node: Node, ask: asks.Ask) -> str:
    answer = await node.ask(ask)
    assert isinstance(answer, asks.Refused), answer
    return answer.why


async def no_labels(manager: Manager, *everyone: Node) -> None:
    """Neither held nor kept, once the undoing, which nobody waits for, has come to its end."""
    await until(lambda: not manager.book.labels, "the book is empty")
    for node in everyone:
        await until(lambda node=node: not node.labels, "the node dropped them")  # type: ignore[misc]
    store = manager.engine.store
    async with asyncio.timeout(30):
        while True:
            kept = [await store.labels(node.id) for node in everyone]
            if not any(kept) and not await store.openings():
                return
            await asyncio.sleep(0.02)


def test_a_session_gets_two_routes_and_every_hop_its_labels(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (manager, (a, b, c, d)):
            routes = new_routes()
            begun = await begin(a, d, routes)
            assert [path.route for path in begun.paths] == list(routes)
            assert {path.nodes for path in begun.paths} == {(a.id, b.id, d.id), (a.id, c.id, d.id)}
            assert (begun.direct, begun.challenge) == ((), bytes(32))
            assert [path.mtu for path in begun.paths] == [1420, 1420]
            assert d.challenges == [asks.ChallengeWanted(a.id, "socks", manager.me)]
            request = signed_request(a, d, begun)
            assert await a.ask(asks.Open(request)) == asks.Opened()
            by_b = next(path.route for path in begun.paths if b.id in path.nodes)
            assert b.labels == {by_b: Label(by_b, a.id, d.id, 1420)}
            assert a.labels[by_b] == Label(by_b, None, b.id, 1420)
            assert d.labels[by_b] == Label(by_b, b.id, None, 1420)
            assert a.labels.keys() == d.labels.keys() == set(routes)
            assert len(c.labels) == 1
            assert d.offers == [asks.SessionOffer(request, manager.me)]
            assert len(await manager.engine.store.labels(a.id)) == 2
            assert "begin again" in await refused(a, asks.Open(request))
            await a.ask(asks.Close(routes))
            await no_labels(manager, a, b, c, d)

    run(test())


def test_a_direct_session_is_told_where(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (_, (a, _, _, d)):
            begun = await begin(a, d, new_routes(), Policy())
            assert begun.direct == ("192.0.2.7:51821",)
            assert len(begun.paths) == 2

    run(test())


def test_without_a_way_the_reason_is_told(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (manager, (a, _, _, d)), nodes(manager, 1) as (lonely,):
            why = await refused(a, asks.Begin(lonely.id, "socks", new_routes(), FAR))
            assert "no link that is up on both sides" in why
            begun = await begin(a, lonely, new_routes(), Policy())
            assert (begun.paths, begun.direct) == ((), ("192.0.2.7:51821",))
            assert "no link that is up" in begun.reason
            d.refuses[asks.CHALLENGE] = "no service 'socks' here"
            assert "no service 'socks' here" in await refused(a, asks.Begin(d.id, "socks", new_routes(), FAR))

    run(test())


def test_a_standby_beside_what_stays(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (_, (a, b, c, d)):
            answer = await a.ask(asks.Begin(d.id, "socks", new_routes(1), FAR, (a.id, b.id, d.id)))
            assert isinstance(answer, asks.Begun)
            assert [path.nodes for path in answer.paths] == [(a.id, c.id, d.id)]
            why = await refused(a, asks.Begin(d.id, "socks", new_routes(1), FAR, (b.id, d.id)))
            assert "no route between these two" in why

    run(test())


@pytest.mark.parametrize("kind", [asks.LABEL, asks.SESSION])
@pytest.mark.parametrize("mood", ["refuses", "deaf"])
def test_a_hop_that_refuses_or_is_silent_undoes_the_rest(tmp_path: Path, kind: str, mood: str) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (manager, (a, b, c, d)):
            bad = d if kind == asks.SESSION else c
            begun = await begin(a, d, new_routes())
            if mood == "refuses":
                bad.refuses[kind] = "not today"
            else:
                bad.is_deaf.add(kind)
            started = time.monotonic()
            why = await refused(a, asks.Open(signed_request(a, d, begun)))
            assert time.monotonic() - started < 5, "a node waits no longer for an answer"
            assert "not today" in why if mood == "refuses" else "does not answer" in why
            bad.is_deaf.clear()
            bad.refuses.clear()
            await no_labels(manager, a, b, c, d)
            begun = await begin(a, d, new_routes())
            assert await a.ask(asks.Open(signed_request(a, d, begun))) == asks.Opened()

    run(test())


def test_nobody_asks_in_another_s_name(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (manager, (a, b, c, d)):
            begun = await begin(a, d, new_routes())
            request = signed_request(a, d, begun)
            assert "asked by" in await refused(b, asks.Open(request))
            forged = sign(b.identity, asks.SESSION_REQUEST, asks.SessionRequest(a.id, d.id, "socks", (), b""))
            assert "signed by" in await refused(b, asks.Open(forged))
            assert "begin again" in await refused(a, asks.Open(signed_request(a, d, begun, "other")))
            assert "not understood" in await refused(a, asks.Open(b"{}"))
            begun = await begin(a, d, new_routes())
            assert await a.ask(asks.Open(signed_request(a, d, begun))) == asks.Opened()
            mine = tuple(path.route for path in begun.paths)
            assert "is taken" in await refused(b, asks.Begin(d.id, "socks", mine, FAR))
            assert await b.ask(asks.Close(mine)) == asks.Done()
            assert set(manager.book.labels) == set(mine), "who is no initiator closes nothing"
            assert c.wrong_orders == d.wrong_orders == []

    run(test())


def test_what_cannot_be_asked_is_refused_in_words(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (_, (a, _, _, d)):
            stranger, route = Identity(new_seed()).node_id, new_routes(1)
            for ask, said in (
                (asks.Begin(stranger, "socks", route), "not in this network"),
                (asks.Begin(a.id, "socks", route), "not one with itself"),
                (asks.Begin(d.id, "socks", route + route), "different routes"),
                (asks.Begin(d.id, "socks", new_routes(3)), "different routes"),
                (asks.Begin(d.id, "x" * 64, route), "at most 63"),
                (asks.Begin(d.id, "socks", ("../x",)), "not a route id"),
                (asks.Begin(d.id, "socks", new_routes(2), FAR, (a.id, d.id)), "room for one"),
                (asks.Close(("x",) * 5000), "too many"),
            ):
                assert said in await refused(a, ask)
            assert a.bus is not None
            answer = await a.bus.ask(f"up.{a.id}.ask", b'{"is":"nonsense"}')
            assert b"refused" in answer

    run(test())


def test_caps_hold_and_name_themselves(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path, Limits(sessions_per_min=3, routes_of_one=3, routes=5)) as (_, (a, b, c, d)):
            for node, count, said in ((a, 2, "3 routes are all"), (b, 1, ""), (c, 2, "all the 5 routes")):
                for _ in range(count):
                    answer = await node.ask(asks.Begin(d.id, "socks", new_routes(), Policy()))
                    if isinstance(answer, asks.Refused):
                        break
                    assert isinstance(answer, asks.Begun)
                    assert await node.ask(asks.Open(signed_request(node, d, answer))) == asks.Opened()
                if said:
                    assert isinstance(answer, asks.Refused)
                    assert said in answer.why
            for _ in range(8):
                answer = await c.ask(asks.Begin(d.id, "socks", (), Policy()))
            assert isinstance(answer, asks.Refused)
            assert "3 sessions a minute" in answer.why

    run(test())


def test_a_request_is_quick(tmp_path: Path) -> None:
    """From the first question to the last label; what the mesh adds on the way is not in it."""

    async def test() -> None:
        async with diamond(tmp_path, Limits(sessions_per_min=1000)) as (_, (a, _, _, d)):
            took = []
            for _ in range(40):
                routes, started = new_routes(), time.perf_counter()
                begun = await begin(a, d, routes)
                assert await a.ask(asks.Open(signed_request(a, d, begun))) == asks.Opened()
                took.append(time.perf_counter() - started)
                await a.ask(asks.Close(routes))
                await asyncio.sleep(0.01)
            took.sort()
            print(f"two questions: p50 {took[20] * 1e3:.1f} ms, longest {took[-1] * 1e3:.1f} ms")
            assert took[20] < 0.1, "half of them take longer than a tenth of a second"

    run(test())
