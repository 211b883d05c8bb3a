"""Nodes of another cluster at a responder: what their manager must sign, what ours must say, what is open to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from services.addresses import End, new_route_id, session_address
from services.kernel.model import foreign, granted, opened
from services.keys import Identity, new_seed
from services.manager import asks
from services.manager.model import Label
from services.manager.peering.words import vouch_for
from services.manager.signed import sign
from services.node.api_words import Publish
from services.node.borders import Borders, hold_to
from services.node.errors import OrderError
from services.node.kept import Kept
from services.node.kernel_thread import Kernel
from services.node.labels import Labels
from tests.services.node.between import RELAYS, Manager, Node, _end
from tests.services.node.test_labels import LINKED

INITIATOR, FAR, OTHER = (Identity(new_seed()) for _ in range(3))
"""A node of another cluster, its manager, and a manager that nobody peered with."""


def run(folder: Path, test: Callable[[Node], Awaitable[None]]) -> None:
    """With a service for FAR's members, one for anyone, and the first exported."""

    async def go() -> None:
        node = await Node(Manager(), folder).start()
        node.borders.on_change = lambda: hold_to(node.borders.clusters, node.sessions)
        try:
            async with asyncio.timeout(60):
                await node.publisher.publish(Publish("web", 80, (f"cluster:{FAR.node_id}",)))
                await node.publisher.publish(Publish("open", 81))
                await node.borders.take(asks.Borders({FAR.node_id: ("web",)}))
                await test(node)
        finally:
            await node.close()

    asyncio.run(go())


async def challenge(node: Node, service: str = "web", by: Identity = FAR, cluster: str = FAR.node_id) -> asks.Reply:
    wanted = asks.SessionRequest(INITIATOR.node_id, node.node_id, service, (), b"")
    vouch = vouch_for(by, wanted)
    return await node.home.order(asks.CHALLENGE, asks.ChallengeWanted(INITIATOR.node_id, service, cluster, vouch))


async def offer(
    node: Node, service: str = "web", vouches: Callable[[asks.SessionRequest], bytes] = lambda ask: vouch_for(FAR, ask)
) -> asks.Reply:
    drawn = await challenge(node, service)
    assert not drawn.why, drawn.why
    route = new_route_id().hex()
    node.labels.held[route] = _end(route, End.RESPONDER, RELAYS[0])
    request = asks.SessionRequest(INITIATOR.node_id, node.node_id, service, (route,), drawn.challenge)
    signed = sign(INITIATOR, asks.SESSION_REQUEST, request)
    return await node.home.order(asks.SESSION, asks.SessionOffer(signed, FAR.node_id, vouches(request)))


def test_what_both_managers_stand_for_is_taken(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        assert (await offer(node)).why == ""
        (session,) = node.sessions.words
        assert (session.cluster, session.border, session.granted) == (FAR.node_id, FAR.node_id, ("web",))
        there = session_address(INITIATOR.node_id)
        assert foreign(there) in node.facts(session.owner)
        assert node.facts("service:web") == {granted(there, "tcp", 80)}
        assert node.facts("service:open") == {opened("tcp", 81)}, "which is not open to whom `foreign` names"

    run(tmp_path, test)


def test_what_one_of_them_does_not_stand_for(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        assert "not exported to cluster" in (await challenge(node, "open")).why
        assert "is not peered" in (await challenge(node, by=OTHER, cluster=OTHER.node_id)).why
        assert "vouched for by" in (await challenge(node, by=OTHER)).why
        wanted = asks.ChallengeWanted(INITIATOR.node_id, "web", FAR.node_id)
        assert "no manager of this node" in (await node.home.order(asks.CHALLENGE, wanted)).why
        assert not node.sessions.words

    run(tmp_path, test)


def test_a_vouch_is_for_one_challenge(tmp_path: Path) -> None:
    def older(request: asks.SessionRequest) -> bytes:
        return vouch_for(FAR, msgspec.structs.replace(request, challenge=bytes(32)))

    async def test(node: Node) -> None:
        assert "something else" in (await offer(node, vouches=older)).why
        assert "nobody vouches" in (await offer(node, vouches=lambda _: b"{}")).why
        assert "no manager of this node" in (await offer(node, vouches=lambda _: b"")).why
        assert not node.sessions.words

    run(tmp_path, test)


def test_what_is_exported_no_more_is_closed(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await offer(node)
        await node.borders.take(asks.Borders({FAR.node_id: ()}))
        assert node.sessions.words[0].granted == ()
        assert node.facts("service:web") == frozenset()
        await node.borders.take(asks.Borders({}))
        assert not node.sessions.words
        assert not node.facts(f"session:{INITIATOR.node_id}")

    run(tmp_path, test)


def test_a_second_service_of_the_same_node(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.borders.take(asks.Borders({FAR.node_id: ("web", "open")}))
        await offer(node)
        assert (await offer(node, "open")).why == ""
        assert node.sessions.words[0].granted == ("web", "open")
        assert granted(session_address(INITIATOR.node_id), "tcp", 81) in node.facts("service:open")

    run(tmp_path, test)


def test_the_list_outlives_a_restart(tmp_path: Path) -> None:
    async def go() -> None:
        await Borders(Kept(tmp_path)).take(asks.Borders({FAR.node_id: ("web",)}))

    asyncio.run(go())
    again = Borders(Kept(tmp_path))
    assert again.refusal(FAR.node_id, "web") == ""
    assert "not exported" in again.refusal(FAR.node_id, "open")
    assert "not peered" in again.refusal(OTHER.node_id, "web")


def test_a_border_relays_what_crosses_it(tmp_path: Path) -> None:
    """Also where its node else relays for nobody."""
    (near, beyond, inner), route = LINKED, new_route_id().hex()
    book = Node(Manager(), tmp_path).book

    def facts(label: Label) -> object:
        labels = Labels(FAR.node_id, False, book, Kernel(), LINKED.get, Kept(tmp_path / "l"), lambda one: one == beyond)
        return labels._facts(label)

    assert facts(Label(route, near, beyond, 1420))
    with pytest.raises(OrderError, match="relays for nobody"):
        facts(Label(route, near, inner, 1420))
