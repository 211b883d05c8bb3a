"""What is published: the firewall's elements by access list, what the manager is told, whose a name and a port is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.addresses import session_address
from services.kernel import rules
from services.kernel.model import granted, opened
from services.keys import Identity, new_seed
from services.node import services as module
from services.node.api_words import Publish
from services.node.errors import ServiceError
from services.node.own import own_facts
from services.node.services import MAX_SERVICES, Publisher
from tests.services.node.between import CLUSTER, Manager, Node, until

FRIEND, MEMBER, STRANGER, OTHER_CLUSTER = (Identity(new_seed()).node_id for _ in range(4))


async def new_node(folder: Path, identity: Identity | None = None) -> Node:
    node = Node(Manager(), folder, identity)
    await node.book.set("own", own_facts(node.identity, rules.Settings()))
    return node


def run(folder: Path, test: Callable[[Node, Publisher], Awaitable[None]]) -> None:
    async def go() -> None:
        node = await new_node(folder)
        await node.publisher.start()
        try:
            async with asyncio.timeout(60):
                await test(node, node.publisher)
        finally:
            await node.publisher.close()

    asyncio.run(go())


def test_open_to_anyone(tmp_path: Path) -> None:
    async def test(node: Node, publisher: Publisher) -> None:
        published = await publisher.publish(Publish("web", 8080))
        assert (published.address, published.port) == (str(session_address(node.node_id)), 8080)
        assert node.facts("service:web") == {opened("tcp", 8080)}
        assert publisher.refusal("web", STRANGER, "") == ""
        await publisher.publish(Publish("dns", 53, protocol="udp"))
        assert node.facts("service:dns") == {opened("udp", 53)}

    run(tmp_path, test)


def test_open_to_some(tmp_path: Path) -> None:
    async def test(node: Node, publisher: Publisher) -> None:
        await publisher.publish(Publish("web", 8080, (FRIEND, f"cluster:{CLUSTER}")))
        friend, member = (granted(session_address(who), "tcp", 8080) for who in (FRIEND, MEMBER))
        assert node.facts("service:web") == {friend}
        assert publisher.refusal("web", FRIEND, "") == ""
        assert "not open" in publisher.refusal("web", MEMBER, "")
        assert publisher.refusal("web", MEMBER, CLUSTER) == ""
        await publisher.take_member(MEMBER, CLUSTER, by="x")
        await publisher.take_member(MEMBER, CLUSTER, by="y")
        await publisher.take_member(STRANGER, OTHER_CLUSTER, by="x")
        assert node.facts("service:web") == {friend, member}
        await publisher.take_member(MEMBER, "", by="x")
        assert node.facts("service:web") == {friend, member}
        await publisher.take_member(MEMBER, "", by="y")
        assert node.facts("service:web") == {friend}

    run(tmp_path, test)


def test_the_managers_of_a_node_have_one_cluster(tmp_path: Path) -> None:
    async def test(node: Node, publisher: Publisher) -> None:
        node.home.managers = (CLUSTER, OTHER_CLUSTER)
        await publisher.publish(Publish("web", 8080, (f"cluster:{OTHER_CLUSTER}",)))
        assert publisher.refusal("web", MEMBER, CLUSTER) == ""
        assert "not open" in publisher.refusal("web", MEMBER, STRANGER)

    run(tmp_path, test)


def test_the_manager_hears_of_all_that_is_offered(tmp_path: Path) -> None:
    async def test(node: Node, publisher: Publisher) -> None:
        await publisher.publish(Publish("web", 8080, (FRIEND,)))
        await until(lambda: len(node.services()) == 1)
        (web,) = node.services()
        assert (web.name, web.port, web.open_to) == ("web", 8080, (FRIEND,))
        await publisher.publish(Publish("ssh", 22))
        await until(lambda: {one.name for one in node.services()} == {"web", "ssh"})
        assert all(one.sequence > web.sequence for one in node.services())
        await publisher.withdraw("web")
        await until(lambda: {one.name for one in node.services()} == {"ssh"})
        assert node.facts("service:web") == set()

    run(tmp_path, test)


def test_names_and_ports_are_taken_once(tmp_path: Path) -> None:
    async def test(_: Node, publisher: Publisher) -> None:
        await publisher.publish(Publish("web", 8080))
        for wrong, told in (
            (Publish("web", 8081), "published already"),
            (Publish("other", 8080), "that of service 'web'"),
            (Publish("bus", 4222), "the mesh's own"),
            (Publish("probe", 51822, protocol="udp"), "the mesh's own"),
            (Publish("no name", 1), "is no name"),
            (Publish("", 1), "is no name"),
            (Publish("zero", 0), "not from 1 to 65535"),
            (Publish("list", 1, ("everybody",)), "not a node id"),
            (Publish("list", 1, ("cluster:",)), "not a node id"),
            (Publish("list", 1, (FRIEND,) * 65), "more than 64"),
        ):
            with pytest.raises(ServiceError, match=told):
                await publisher.publish(wrong)
        await publisher.publish(Publish("udp", 8080, protocol="udp"))
        assert len(publisher) == 2

    run(tmp_path, test)


def test_there_is_a_cap(tmp_path: Path) -> None:
    async def test(_: Node, publisher: Publisher) -> None:
        for number in range(MAX_SERVICES):
            await publisher.publish(Publish(f"s{number}", 1000 + number))
        with pytest.raises(ServiceError, match="already: withdraw one"):
            await publisher.publish(Publish("more", 999))
        await publisher.withdraw("s0")
        await publisher.publish(Publish("more", 999))

    run(tmp_path, test)


def test_a_restart_keeps_services_open_until_their_applications_are_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.3)

    async def test(node: Node, publisher: Publisher) -> None:
        await publisher.publish(Publish("web", 8080))
        await publisher.publish(Publish("ssh", 22))
        again = await new_node(tmp_path, node.identity)
        await again.publisher.restore()
        assert again.facts("service:web") == {opened("tcp", 8080)}
        await again.publisher.start()
        await again.publisher.publish(Publish("web", 8080, (FRIEND,)))
        await until(lambda: again.facts("service:ssh") == set())
        assert len(again.publisher) == 1
        assert again.facts("service:web") == {granted(session_address(FRIEND), "tcp", 8080)}
        await again.publisher.close()

    run(tmp_path, test)
