"""Labels by order: which facts they become, which are refused, and what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path

import pytest

from services.kernel import rules
from services.kernel.model import FIRST_VNI, LINKS, Address, AllowedIp, Fact, Link, LinkKind, Peer, Route, Vxlan, pair
from services.keys import CurveKey, Identity, NodeId, new_seed
from services.manager.model import Label
from services.node.book import Book
from services.node.errors import OrderError
from services.node.kept import Kept
from services.node.kernel_thread import Kernel
from services.node.labels import Labels
from services.node.model import LinkEnd, RouteEnd
from services.node.own import own_facts

ME, A, B, C = (Identity(new_seed()) for _ in range(4))
ROUTE = "000102030405060708090a0b"
INITIATOR, RESPONDER = (IPv6Address(f"fd52:1:203:405:607:809:a0b:{end}") for end in (1, 2))
FROM_A, FROM_B = (LinkEnd(LINKS, CurveKey(of.link_key), None, 1420) for of in (A, B))
FROM_C = LinkEnd("sky-w800001", None, IPv6Address("fe80::c"), 1450)
LINKED = {A.node_id: FROM_A, B.node_id: FROM_B, C.node_id: FROM_C}


@dataclass
class World:
    folder: Path
    relays: bool = True

    def __post_init__(self) -> None:
        kernel = Kernel()
        self.book = Book(kernel)
        self.labels = Labels(ME.node_id, self.relays, self.book, kernel, LINKED.get, Kept(self.folder / "ram"))

    async def take(self, initiator: Identity | None, responder: Identity | None, mtu: int = 1420) -> None:
        await self.labels.take(Label(ROUTE, node_id(initiator), node_id(responder), mtu))

    async def refuses(self, why: str, label: Label) -> None:
        with pytest.raises(OrderError, match=why):
            await self.labels.take(label)
        assert len(self.labels) == 0
        assert self.book.owners == ("own", "link")

    def wants(self, *facts: Fact) -> bool:
        return all(self.book.wanted(fact.key) == fact for fact in facts)


def node_id(of: Identity | None) -> NodeId | None:
    return of.node_id if of is not None else None


def in_world(folder: Path, test: Callable[[World], Awaitable[None]], *, relays: bool = True) -> None:
    async def main() -> None:
        world = World(folder, relays)
        wire = [Link(FROM_C.device, LinkKind.VXLAN, 1450, Vxlan(FIRST_VNI + 1, IPv4Address(1), IPv4Address(2)))]
        await world.book.set_many({"own": own_facts(ME, rules.Settings())})
        await world.book.set("link", [*wire, *(Peer(LINKS, bytes(of.link_key)) for of in (A, B))])
        await world.labels.restore()
        await test(world)

    asyncio.run(main())


def test_a_relay_between_two_tunnels(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.take(A, B)
        assert world.wants(
            AllowedIp(LINKS, IPv6Network(INITIATOR), bytes(A.link_key)),
            AllowedIp(LINKS, IPv6Network(RESPONDER), bytes(B.link_key)),
            pair(LINKS, INITIATOR, RESPONDER),
            pair(LINKS, RESPONDER, INITIATOR),
        )
        assert world.labels.end(ROUTE) is None
        assert (world.labels.uses(A.node_id), world.labels.uses(C.node_id)) == (1, 0)

    in_world(tmp_path, test)


def test_a_relay_from_a_tunnel_to_a_wire(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.take(A, C)
        assert world.wants(
            AllowedIp(LINKS, IPv6Network(INITIATOR), bytes(A.link_key)),
            Route(IPv6Network(RESPONDER), FROM_C.device, via=FROM_C.via),
            pair(LINKS, INITIATOR, RESPONDER),
            pair(FROM_C.device, RESPONDER, INITIATOR),
        )

    in_world(tmp_path, test)


def test_the_ends(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.take(None, A, 1372)
        assert world.labels.end(ROUTE) == RouteEnd(ROUTE, INITIATOR, RESPONDER, A.node_id, 1372)
        assert world.wants(
            Address(LINKS, IPv6Interface((INITIATOR, 128))),
            Route(IPv6Network(RESPONDER), LINKS, source=INITIATOR, mtu=1372),
            AllowedIp(LINKS, IPv6Network(RESPONDER), bytes(A.link_key)),
        )
        await world.take(C, None)
        assert world.labels.end(ROUTE) == RouteEnd(ROUTE, RESPONDER, INITIATOR, C.node_id, 1420)
        assert world.wants(Route(IPv6Network(INITIATOR), FROM_C.device, FROM_C.via, RESPONDER, 1420))
        assert world.book.wanted((AllowedIp, LINKS, IPv6Network(RESPONDER))) is None

    in_world(tmp_path, test)


def test_what_is_refused(tmp_path: Path) -> None:
    stranger = Identity(new_seed()).node_id
    a, b, me = A.node_id, B.node_id, ME.node_id

    async def test(world: World) -> None:
        await world.refuses("not a route id", Label("00", a, b, 1420))
        await world.refuses("no neighbour on either side", Label(ROUTE, None, None, 1420))
        await world.refuses("leads back", Label(ROUTE, a, a, 1420))
        await world.refuses("leads back", Label(ROUTE, me, a, 1420))
        await world.refuses("MTU 1000", Label(ROUTE, a, b, 1000))
        await world.refuses(f"no link to node '{stranger}'", Label(ROUTE, a, stranger, 1420))

    in_world(tmp_path, test)


def test_who_relays_for_nobody_is_an_end_all_the_same(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.refuses("relays for nobody", Label(ROUTE, A.node_id, B.node_id, 1420))
        await world.take(None, A)
        assert world.labels.end(ROUTE) is not None

    in_world(tmp_path, test, relays=False)


def test_what_ends_a_label(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.take(None, A)
        await world.labels.take(Label(ROUTE, None, None, 0, gone=True))
        assert world.book.owners == ("own", "link")
        await world.take(None, A)
        await world.labels.expire(after_s=60)
        assert len(world.labels) == 1
        await world.labels.expire(after_s=0)
        assert world.book.owners == ("own", "link")

    in_world(tmp_path, test)
    in_world(tmp_path, nothing_is_held)


async def nothing_is_held(world: World) -> None:
    assert len(world.labels) == 0


def test_a_session_keeps_its_routes(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.take(None, A)
        await asyncio.sleep(0.3)
        world.labels.keep(ROUTE)
        await world.labels.expire(after_s=0.25)
        assert len(world.labels) == 1
        await asyncio.sleep(0.3)
        await world.labels.expire(after_s=0.25)
        assert len(world.labels) == 0

    in_world(tmp_path, test)


def test_labels_are_found_again_after_a_restart(tmp_path: Path) -> None:
    async def before(world: World) -> None:
        await world.take(A, C)

    async def after(world: World) -> None:
        assert world.labels.states()[0][0] == Label(ROUTE, A.node_id, C.node_id, 1420)
        assert world.wants(pair(LINKS, INITIATOR, RESPONDER))
        assert world.labels.uses(C.node_id) == 1

    in_world(tmp_path, before)
    in_world(tmp_path, after)
    (tmp_path / "ram" / f"label-{ROUTE}.json").write_bytes(b"{half")
    in_world(tmp_path, nothing_is_held)
