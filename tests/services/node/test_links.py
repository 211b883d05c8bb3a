"""Neighbours by order: which records count, which kind of link follows, and who gets a link key that two claim."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network, ip_interface, ip_network
from pathlib import Path

import msgspec
import pytest

from services.kernel import rules
from services.kernel.model import LINKS, AllowedIp, Link, LinkKind, Peer, Route
from services.keys import Identity, new_seed, wireguard_text
from services.manager.asks import Neighbours
from services.manager.model import Label
from services.manager.record import PURPOSE, NodeRecord, make_record, sign_record
from services.manager.routes.model import Kind
from services.manager.signed import sign
from services.node.book import Book
from services.node.config import Config
from services.node.kept import Kept
from services.node.kernel_thread import Kernel
from services.node.labels import Labels
from services.node.links import RIVAL_S, Links
from services.node.neighbours import candidates, find_wire
from services.node.own import own_facts
from services.node.own_record import OwnRecord
from services.node.probes import Prober
from services.node.underlay import IpInterface, write_endpoint
from services.setting_words import Network

ME, A, B = (Identity(new_seed()) for _ in range(3))
ROUTE = "0123456789abcdef01234567"


@dataclass
class World:
    """One node's links, without a kernel: what is wanted is read from its book."""

    folder: Path
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = Config(wires=(Network("10.7.0.0/16"),), relays=True)
        self.own = OwnRecord(ME, config, Kept(self.folder / "card"))
        self.own.refresh([ip_interface("10.7.0.1/24")])
        self.book, kernel, ram = (Book(made := Kernel()), made, Kept(self.folder / "ram"))
        self.links = Links(ME, config, self.own, self.book, Prober(ME), ram)
        self.labels = Labels(ME.node_id, True, self.book, kernel, self.links.neighbour, ram)
        self.links.follow(self.labels, self.told.append)

    async def order(self, *records: bytes) -> None:
        await self.links.take(Neighbours(records))

    def wants(self, of: Identity) -> bool:
        return self.book.wanted((Peer, LINKS, bytes(of.link_key))) is not None


def record(of: Identity, sequence: int = 1, wires: tuple[str, ...] = (), at: str = "10.7.0.9:51820") -> NodeRecord:
    return make_record(of, sequence, (at,), "1", wires=wires)


def signed(of: Identity, sequence: int = 1, wires: tuple[str, ...] = (), at: str = "10.7.0.9:51820") -> bytes:
    return sign_record(of, record(of, sequence, wires, at))


def claiming(liar: Identity, key_of: Identity) -> bytes:
    """A sound record with somebody else's link key: only who has the key can tell."""
    theirs = record(key_of)
    claimed = msgspec.structs.replace(record(liar), link_key=theirs.link_key, link_address=theirs.link_address)
    return sign_record(liar, claimed)


def in_world(folder: Path, test: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World(folder)
        await world.book.set("own", own_facts(ME, rules.Settings()))
        await world.links.restore()
        await world.labels.restore()
        await test(world)
        await world.links.close()

    asyncio.run(main())


def test_the_ordered_are_linked_and_the_others_no_longer(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.order(signed(A), signed(B), signed(ME))
        assert {state.node_id for state in world.links.states()} == {A.node_id, B.node_id}
        await world.order(signed(B))
        assert not world.wants(A)
        assert world.wants(B)

    in_world(tmp_path, test)
    in_world(tmp_path, only_b_is_kept)


async def only_b_is_kept(world: World) -> None:
    assert world.wants(B)
    assert not world.wants(A)


@pytest.mark.parametrize("change", ["link_address", "session_address", "link_key", "signature"])
def test_a_false_record_is_refused(tmp_path: Path, change: str) -> None:
    words = record(A)
    if change == "signature":
        false = signed(A).replace(b'"signature":"', b'"signature":"AAAA', 1)
    else:
        foreign = getattr(record(B), change)
        false = sign(A, PURPOSE, msgspec.structs.replace(words, **{change: foreign}))

    async def test(world: World) -> None:
        await world.order(false, signed(B))
        assert not world.wants(A)
        assert world.wants(B)
        assert len(world.told) == 1

    in_world(tmp_path, test)


def test_an_older_record_does_not_bring_an_old_key_back(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        old = msgspec.structs.replace(record(A), link_key=wireguard_text(B.link_key))
        old = msgspec.structs.replace(old, link_address=record(B).link_address)
        await world.order(signed(A, 7))
        await world.order(sign_record(A, old))
        assert world.wants(A)
        assert not world.wants(B)
        assert len(world.told) == 1

    in_world(tmp_path, test)


def test_who_claims_anothers_link_key_waits_while_that_one_answers(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.order(signed(A), claiming(B, A))
        (state,) = world.links.states()
        assert state.node_id == A.node_id
        assert "claims the link key" in world.told[0]
        holder = world.links.find(A.node_id)
        assert holder is not None
        holder.figures.answered(0.001, asyncio.get_running_loop().time())
        holder.figures.since_s -= 2 * RIVAL_S
        await world.links.tidy()
        assert world.links.neighbour(B.node_id) is None

    in_world(tmp_path, test)


def test_a_liar_who_was_first_loses_the_key(tmp_path: Path) -> None:
    """It cannot answer probes as itself through a tunnel that ends elsewhere."""

    async def test(world: World) -> None:
        await world.order(claiming(B, A), signed(A))
        liar = world.links.find(B.node_id)
        assert liar is not None
        await world.links.tidy()
        assert world.links.neighbour(A.node_id) is None
        liar.figures.since_s -= 2 * RIVAL_S
        await world.links.tidy()
        assert world.links.neighbour(A.node_id) is not None
        assert world.links.neighbour(B.node_id) is None
        assert world.wants(A)

    in_world(tmp_path, test)


def test_the_expelled_go_with_their_labels(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.order(signed(A), signed(B))
        await world.labels.take(Label(ROUTE, A.node_id, B.node_id, 1420))
        await world.order(signed(B), b"no record")
        assert world.wants(A), "a label leads there"
        await world.links.expel([A.node_id])
        assert not world.wants(A)
        assert len(world.labels) == 0
        assert world.book.owners == ("own", f"link:{B.node_id}")

    in_world(tmp_path, test)
    in_world(tmp_path, only_b_is_kept)


def test_a_neighbour_goes_when_no_label_leads_there(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.order(signed(A), signed(B))
        await world.labels.take(Label(ROUTE, A.node_id, B.node_id, 1420))
        await world.order(signed(B))
        await world.labels.drop(ROUTE)
        await world.links.tidy()
        assert not world.wants(A)

    in_world(tmp_path, test)


def test_labels_move_with_their_link(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.order(signed(A), signed(B))
        await world.labels.take(Label(ROUTE, A.node_id, B.node_id, 1420))
        far = IPv6Network(f"fd52:{ROUTE[:4]}:{ROUTE[4:8]}:{ROUTE[8:12]}:{ROUTE[12:16]}:{ROUTE[16:20]}:{ROUTE[20:]}:1")
        assert world.book.wanted((AllowedIp, LINKS, far)) is not None
        await world.order(signed(A, 2, wires=("10.7.0.2",)), signed(B))
        assert world.book.wanted((AllowedIp, LINKS, far)) is None
        route = world.book.wanted((Route, 254, far))
        assert isinstance(route, Route)
        assert route.device.startswith("sky-w")
        link = world.book.wanted((Link, route.device))
        assert isinstance(link, Link)
        assert link.kind is LinkKind.VXLAN
        assert world.links.states()[0].kind is Kind.WIRE

    in_world(tmp_path, test)


def test_both_sides_make_the_same_wire() -> None:
    mine = record(A, wires=("192.168.1.7", "10.7.3.4", "10.7.0.1"))
    other = record(B, wires=("10.7.0.2", "192.168.1.9"))
    networks = [ip_network("192.168.1.0/24"), ip_network("10.7.0.0/16")]
    here, there = find_wire(mine, other, networks), find_wire(other, mine, networks[::-1])
    assert here is not None
    assert there is not None
    assert (here.vni, here.local, here.remote) == (there.vni, there.remote, there.local)
    assert str(here.local) == "10.7.0.1"
    assert find_wire(mine, other, [ip_network("172.16.0.0/12")]) is None
    assert find_wire(mine, record(B), networks) is None


def test_where_a_neighbour_is_looked_for() -> None:
    places = ("203.0.113.5:1", "10.7.0.9:51820", "127.0.0.1:5", "x", "[fe80::1]:5", "10.7.0.1:51820", "[2001:db8::1]:7")
    found = candidates(
        make_record(A, 1, places, "1"), "198.51.100.1:9", (), [ip_interface("10.7.0.1/24"), ip_interface("10.9.0.1/8")]
    )
    assert [write_endpoint(endpoint) for endpoint in found] == [
        "10.7.0.9:51820",
        "203.0.113.5:1",
        "[2001:db8::1]:7",
        "198.51.100.1:9",
    ]
    within = candidates(make_record(A, 1, places, "1"), "198.51.100.1:9", (ip_network("198.51.100.0/24"),), [])
    assert [str(endpoint.address) for endpoint in within] == ["198.51.100.1"]
    assert IPv6Address(record(A).link_address) in IPv6Network("fd4c::/16")


def test_a_link_local_place_counts_on_such_a_network_alone_and_last() -> None:
    """Anywhere else a packet to it would go to a router (RFC 3927, 2.6.2)."""
    said = make_record(A, 1, ("169.254.7.9:51820", "203.0.113.5:1", "10.7.0.9:51820"), "1")
    cable, lan = ip_interface("169.254.3.1/16"), ip_interface("10.7.0.1/24")

    def places(*here: IpInterface) -> list[str]:
        return [write_endpoint(endpoint) for endpoint in candidates(said, "169.254.8.8:5", (), here)]

    assert places(lan) == ["10.7.0.9:51820", "203.0.113.5:1"]
    assert places(lan, cable) == ["10.7.0.9:51820", "169.254.7.9:51820", "169.254.8.8:5", "203.0.113.5:1"]
    assert places(ip_interface("169.254.7.9/16")) == ["169.254.8.8:5", "203.0.113.5:1", "10.7.0.9:51820"]
