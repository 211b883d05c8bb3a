"""What nodes report, in real buckets: who may report what, what an expulsion forgets, and what followers are told."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from services.keys import Identity, NodeId, new_seed
from services.manager.errors import WordsError
from services.manager.model import Label, Service
from services.manager.offer import SERVICE
from services.manager.record import make_record, sign_record
from services.manager.routes.model import Link
from services.manager.signed import sign, sign_order
from services.manager.store import Store
from tests.services.manager.engine.rack import needs_server, run, running_engine

pytestmark = needs_server

ROUTES = ("0123456789abcdef01234567", "0123456789abcdef01234568")


def links_of(src: NodeId, dst: NodeId) -> bytes:
    return msgspec.json.encode((Link(src, dst, 0.002),))


async def report(store: Store, manager: Identity, node: Identity, other: Identity) -> None:
    me = node.node_id
    await store.put_record(sign_record(node, make_record(node, 1, (), "1")))
    await store.put_links(me, links_of(me, other.node_id))
    await store.put_service(me, sign(node, SERVICE, Service(me, "socks", 1080, 1)))
    for revision, route in enumerate(ROUTES, 1):
        order = sign_order(manager, me, revision, "label", Label(route, None, other.node_id, 1340))
        await store.put_label(order)


def test_what_was_reported_is_there_until_its_node_is_expelled(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_engine(tmp_path / "m") as (engine, manager, _):
            store, node, other = engine.store, Identity(new_seed()), Identity(new_seed())
            await report(store, manager, node, other)
            await report(store, manager, other, node)
            assert set(await store.records()) == set(await store.links()) == {node.node_id, other.node_id}
            assert (await store.links())[node.node_id] == (Link(node.node_id, other.node_id, 0.002),)
            assert len(await store.labels(node.node_id)) == 2
            await store.forget_label(node.node_id, ROUTES[0])
            assert len(await store.labels(node.node_id)) == 1
            await store.expel(node.node_id, "a test")
            await store.forget(node.node_id)
            assert await store.record(node.node_id) is None
            assert set(await store.links()) == {other.node_id}
            assert [service.node_id for service in await store.services()] == [other.node_id]
            assert await store.labels(node.node_id) == []
            assert len(await store.labels(other.node_id)) == 2
            assert (await store.expelled())[node.node_id].reason == "a test"
            await store.withdraw_service(other.node_id, "socks")
            assert await store.services() == []

    run(test())


def test_nobody_reports_for_another(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_engine(tmp_path / "m") as (engine, _, _):
            store, node, other = engine.store, Identity(new_seed()), Identity(new_seed())
            me, you = node.node_id, other.node_id
            for wrong in (links_of(you, me), links_of(me, NodeId("0" * 64)), links_of(me, you)[:-1], b"\xff", b"{}"):
                with pytest.raises(WordsError):
                    await store.put_links(me, wrong)
            many = msgspec.json.encode([Link(me, you, 0.001)] * 257)
            with pytest.raises(WordsError, match="257 links"):
                await store.put_links(me, many)
            with pytest.raises(WordsError, match="offers a service of"):
                await store.put_service(me, sign(other, SERVICE, Service(you, "socks", 1080, 1)))
            for key in ("*", ">", "x", "../x", me.upper()):
                with pytest.raises(WordsError):
                    await store.labels(NodeId(key))
            assert await store.links() == {}
            assert await store.services() == []

    run(test())


def test_followers_hear_what_is_there_and_what_comes(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_engine(tmp_path / "m") as (engine, _, _):
            store, node, other = engine.store, Identity(new_seed()), Identity(new_seed())
            me, you = node.node_id, other.node_id
            await store.put_links(me, links_of(me, you))
            heard = store.follow_links()
            async with asyncio.timeout(20):
                assert await anext(heard) == (me, links_of(me, you))
                await store.put_links(you, links_of(you, me))
                assert await anext(heard) == (you, links_of(you, me))
                await store.expel(me, "a test")
                await store.forget(me)
                assert await anext(heard) == (me, None)

    run(test())


def test_orders_are_numbered_by_who_leads(tmp_path: Path) -> None:
    secret = new_seed()

    async def test() -> None:
        numbers = []
        for _ in range(2):
            async with running_engine(tmp_path / "m", secret) as (engine, _, _):
                await engine.lease.wait_held(20)
                numbers += [engine.lease.next_revision() for _ in range(2)]
        assert numbers == sorted(set(numbers)), "after a restart of everything, revisions are higher still"

    run(test())
