"""What the manager knows of its nodes, and what it tells them of each other."""

import asyncio
from pathlib import Path

import pytest

from services.keys import Identity, NodeId, new_seed
from services.manager import api_words as words
from services.manager import asks
from services.manager.bus import Bus
from services.manager.errors import RefusedError, WordsError
from services.manager.graph_keeper import GraphKeeper
from services.manager.housekeeping import SILENT_FOR_S
from services.manager.offer import read_service
from services.manager.routes.policy import Policy
from services.manager.server_config import client_url
from services.node.api_words import Seen
from tests.services.manager.engine.rack import needs_server, until
from tests.services.manager.program.ends import Node, nodes, run, running_manager
from tests.services.manager.program.test_desk import begin, diamond, link, new_routes, signed_request

pytestmark = needs_server


def test_nodes_are_told_their_neighbours_and_what_changes(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, fake), nodes(manager, 2) as (a, b):
            await a.until(lambda: set(a.neighbours) == {manager.me, b.id}, "a knows b")
            fake.seen = Seen({b.id: "198.51.100.9:4711", manager.me: "192.0.2.7:51820"}, {b.id: "198.51.100.9:4712"})
            await a.until(lambda: a.neighbours.get(b.id) == "198.51.100.9:4711", "where the manager sees b from")
            async with nodes(manager, 1) as (c,):
                for one, others in ((a, {b.id, c.id}), (b, {a.id, c.id}), (c, {a.id, b.id})):
                    wanted = others | {manager.me}
                    await one.until(lambda one=one, wanted=wanted: set(one.neighbours) == wanted, "all know all")  # type: ignore[misc]
                b.sequence += 1
                told = len(a.orders)
                await b.say("record", b.record(relays=False))
                await a.until(lambda: any(order.kind == asks.NEIGHBOURS for order in a.orders[told:]), "b's new record")
            assert a.wrong_orders == b.wrong_orders == []
            assert (await begin(a, b, (), Policy())).direct == ("192.0.2.7:51821", "198.51.100.9:4712")
            assert (await begin(b, a, (), Policy())).seen == "198.51.100.9:4712"

    run(test())


def test_a_node_that_lost_all_is_told_all(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (_, (a, b, _, d)):
            begun = await begin(a, d, new_routes())
            assert await a.ask(asks.Open(signed_request(a, d, begun))) == asks.Opened()
            held = dict(b.labels)
            assert held
            b.labels, b.neighbours = {}, {}
            assert await b.ask(asks.Labels()) == asks.Done()
            assert b.labels == held
            assert len(b.neighbours) == 4

    run(test())


def test_links_count_from_both_sides_after_their_nodes_and_while_they_are_leased(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), nodes(manager, 2) as (a, b):
            late, graph = Node(Identity(new_seed())), manager.keeper.graph
            await a.say_links(b, late)
            await until(lambda: manager.keeper.is_heard(a.id), "a was heard")
            assert manager.keeper.links_up == 0
            await b.say_links(a)
            await until(lambda: manager.keeper.links_up == 1, "both sides")
            await late.connect(await late.join(manager.door.port))
            await late.say_links(a)
            await until(lambda: manager.keeper.links_up == 2, "the link that was there before its node")
            await a.say_links(b, late, is_up=False)
            await until(lambda: manager.keeper.links_up == 0, "one side says it is down")
            assert {link.dst for link in manager.keeper.reports() if link.src == a.id} == {b.id, late.id}
            assert graph.link(a.id, b.id) is not None
            await late.close()
            short = GraphKeeper(manager.registry, leased_s=0.5)
            await short.start(manager.engine.store)
            assert short.is_heard(a.id)
            await until(lambda: not short.is_heard(a.id) and not short.reports(), "the lease has run out")
            await short.stop()

    run(test())


def test_services_and_names_are_found(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), nodes(manager, 2) as (a, b):
            await a.say_services("socks", "vpn")
            await b.say_services("socks")
            await until(lambda: len(manager.directory.find()) == 3, "three services")
            found = await a.ask(asks.Find("socks"))
            assert isinstance(found, asks.Found)
            assert {read_service(one).node_id for one in found.services} == {a.id, b.id}
            await a.say_services("vpn")
            await until(lambda: len(manager.directory.find("socks")) == 1, "one is withdrawn")
            await b.say("services", b'["AAAA"]')
            await b.say("services", b"{}")
            await a.say_services()
            await until(lambda: [one.service.node_id for one in manager.directory.find()] == [b.id], "only b's is left")
            await manager.office.handle(words.SetName("Kitchen", b.id[:10]))
            await until(lambda: "kitchen" in manager.registry.names, "the name is known")
            assert await a.ask(asks.Name("kitchen")) == asks.Named(b.id)
            assert await a.ask(asks.Name("cellar")) == asks.Named(None)
            await manager.office.handle(words.SetName("KITCHEN"))
            await until(lambda: not manager.registry.names, "it is taken away")
            for wrong in ("a b", "", "-", "x" * 64):
                with pytest.raises(WordsError, match="is no name"):
                    await manager.office.handle(words.SetName(wrong, b.id))

    run(test())


def test_a_token_is_renewed(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), nodes(manager, 1) as (a,):
            answer = await a.ask(asks.Renew())
            assert isinstance(answer, asks.Token)
            again = Bus(a.identity, lambda _: None)
            assert a.bus is not None
            await again.connect([client_url(manager.engine.address)], lambda: answer.token)
            await again.close()

    run(test())


def test_routes_by_hand(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (manager, (a, b, c, d)):
            policy = Policy(exclude=frozenset({NodeId(b.id[:12])}))
            found = await manager.office.handle(words.FindRoute(a.id[:12], d.id, policy))
            assert isinstance(found, words.FoundRoutes)
            assert [row.nodes for row in found.routes] == [(a.id, c.id, d.id)]
            built = await manager.office.handle(words.BuildRoute((a.id, b.id, d.id)))
            assert isinstance(built, words.Built)
            assert b.labels[built.route].initiator_side == a.id
            listed = await manager.office.handle(words.GetRoutes())
            assert isinstance(listed, words.Routes)
            assert listed.routes == (words.RouteRow(built.route, (a.id, b.id, d.id), 1420),)
            await manager.office.handle(words.CloseRoute(built.route[:6]))
            await b.until(lambda: not b.labels, "it is taken back")
            for through, said in (
                ((a.id, d.id), "have no link"),
                ((a.id,), "two nodes or more"),
                ((a.id, b.id, a.id), "none twice"),
            ):
                with pytest.raises(RefusedError, match=said):
                    await manager.office.handle(words.BuildRoute(through))

    run(test())


def test_routes_of_the_long_silent_are_taken_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (manager, (a, b, _, d)), nodes(manager, 2) as (e, f):
            await link(manager, (e, f))
            await until(lambda: manager.keeper.links_up == 5, "all links")
            for one, other in ((a, d), (e, f)):
                begun = await begin(one, other, new_routes(1), Policy())
                assert await one.ask(asks.Open(signed_request(one, other, begun))) == asks.Opened()
            await manager.engine.store.put_links(f.id, b"[]")
            await manager.engine.store._links.delete(f.id)  # as if its lease had run out
            await until(lambda: not manager.keeper.is_heard(f.id), "f is silent")
            manager.housekeeping.drop_silent(0)
            manager.housekeeping.drop_silent(SILENT_FOR_S - 1)
            assert len(manager.book.labels) == 2
            manager.housekeeping.drop_silent(SILENT_FOR_S)
            assert len(manager.book.labels) == 1
            await e.until(lambda: not e.labels, "its hops hear it")
            assert a.labels
            assert b.wrong_orders == []

    run(test())


def test_health_says_what_is_wrong(tmp_path: Path) -> None:
    async def test() -> None:
        async with diamond(tmp_path) as (manager, _):
            status = await manager.health.check()
            assert (status.works, status.summary) == (True, "leads: 5 nodes, 4 links, 0 routes")
            assert status.bus_rtt_s is not None
            assert any("forwarded to it by the router" in one for one in status.advice)
            manager.registry.nodes.pop(manager.me)
            assert "its own node has not joined yet" in (await manager.health.check()).summary
            await manager.engine.bus.close()
            status = await manager.health.check()
            assert (status.works, status.bus_rtt_s) == (False, None)
            assert status.summary.startswith("the bus does not answer; ")
            await asyncio.sleep(0)

    run(test())
