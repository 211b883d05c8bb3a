"""Carrying networks in a session: what the kernel shall hold, who may, what ends it; and packets that really pass."""

from __future__ import annotations

import asyncio
import pwd
import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from services.kernel.model import SESSIONS, AllowedIp, Forwarding, exit_for, gateway
from services.keys import session_key
from services.manager.routes.policy import Policy
from services.node import carrier as module
from services.node.access import Access
from services.node.api_words import Carried, Carry, Connect, Connected, Member, Publish, Published, Uncarry, Vouch
from services.node.carrier import Carrier
from services.node.config import Config
from services.node.errors import CarryError, NodeRefusedError
from services.node.line import Line
from tests.services.kernel.hosts import ip
from tests.services.node.between import Manager, Node, run, until
from tests.services.node.conftest import MakeNodes
from tests.services.node.test_run import lost, ping
from tests.services.node.world import Manager as RealManager
from tests.services.node.world import Node as RealNode

ALL = ("0.0.0.0/0", "::/0")
ONE = ("100.64.0.2/32", "fd54::2/128")


def carried(node: Node) -> set[object]:
    """What all wishes together put into the book."""
    return {fact for owner in node.book.owners if owner.startswith("carry:") for fact in node.facts(owner)}


async def joined(a: Node, b: Node) -> Carrier:
    await a.sessions.connect(b.node_id, "web", Policy())
    return Carrier(a.book, a.sessions, a.kept)


# what the kernel shall hold


def test_all_is_carried_to_the_peer(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        carrier = await joined(a, b)
        wish = Carry(b.node_id, ALL, gateways=("eth1",))
        assert await carrier.carry(wish) == Carried(SESSIONS, 1328, 0x51)
        key = session_key(b.node_id)
        networks = {AllowedIp(SESSIONS, ip_network(text), key) for text in ALL}
        assert carried(a) == {*networks, gateway("eth1"), Forwarding(SESSIONS)}
        await carrier.let_go(wish)
        assert carried(a) == set()
        assert a.kept.names("carry-") == []

    run(tmp_path, test)


def test_an_exit_forwards_for_single_addresses(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        carrier = await joined(a, b)
        await carrier.carry(Carry(b.node_id, ONE, forwards=True))
        assert {exit_for(ip_address("100.64.0.2")), exit_for(ip_address("fd54::2"))} < carried(a)
        await carrier.uncarry(Uncarry(b.node_id, ONE[::-1]))
        assert carried(a) == set()

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (Carry("", ()), "0 networks"),
        (Carry("", tuple(f"10.0.{n}.0/24" for n in range(65))), "65 networks"),
        (Carry("", ("10.0.0.1/8",)), "host bits"),
        (Carry("", ("fd53::/16",)), "the mesh's own"),
        (Carry("", ("fd52::/15",)), "the mesh's own"),
        (Carry("", ("fd4c:1::/32",)), "the mesh's own"),
        (Carry("", ("10.0.0.0/31",), forwards=True), "single addresses"),
        (Carry("", ALL, gateways=("sky0",)), "'sky0' is no interface"),
        (Carry("", ALL, gateways=("eth*",)), "is no interface"),
        (Carry("", ALL, gateways=("lo",)), "is no interface"),
        (Carry("", ALL, gateways=("e",) * 9), "9 gateways"),
    ],
)
def test_what_cannot_be_carried(tmp_path: Path, wish: Carry, why: str) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        carrier = await joined(a, b)
        with pytest.raises(CarryError, match=why):
            await carrier.carry(Carry(b.node_id, wish.networks, wish.forwards, wish.gateways))
        assert carried(a) == set()

    run(tmp_path, test)


def test_it_needs_a_session(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        with pytest.raises(CarryError, match=f"no session with node '{b.node_id}'"):
            await Carrier(a.book, a.sessions, a.kept).carry(Carry(b.node_id, ALL))

    run(tmp_path, test)


def test_what_another_carries_is_refused_by_name(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        third = await Node(manager, tmp_path).start()
        await third.publisher.publish(Publish("web", 8080))
        await a.sessions.connect(third.node_id, "web", Policy())
        carrier = await joined(a, b)
        await carrier.carry(Carry(third.node_id, ALL))
        with pytest.raises(CarryError, match=rf"'0.0.0.0/0' is carried to node '{third.node_id}' by another"):
            await carrier.carry(Carry(b.node_id, (*ALL[:1], "192.0.2.0/24")))
        await carrier.carry(Carry(b.node_id, ("192.0.2.0/24",)))

    run(tmp_path, test)


# what ends it


def test_it_goes_and_comes_with_its_session(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        carrier = await joined(a, b)
        await carrier.carry(Carry(b.node_id, ALL))
        before = carried(a)
        await a.sessions.close_with(b.node_id)
        assert carried(a) == set()
        await a.sessions.connect(b.node_id, "web", Policy())
        assert carried(a) == before

    run(tmp_path, test)


def test_it_lingers_for_who_asks_again(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        carrier = await joined(a, b)
        wish, short = Carry(b.node_id, ALL, lingers_s=30), Carry(b.node_id, ONE, lingers_s=0.05)
        for one in (wish, short):
            await carrier.carry(one)
            await carrier.let_go(one)
        assert len(carried(a)) == 4
        await until(lambda: len(carried(a)) == 2)
        await carrier.carry(wish)
        third = await Node(manager, tmp_path).start()
        await third.publisher.publish(Publish("web", 8080))
        await a.sessions.connect(third.node_id, "web", Policy())
        with pytest.raises(CarryError, match="by another program"):
            await carrier.carry(Carry(third.node_id, ALL))
        await carrier.let_go(wish)
        await carrier.carry(Carry(third.node_id, ALL[:1]))
        assert carried(a) == {AllowedIp(SESSIONS, ip_network(ALL[0]), session_key(third.node_id))}
        await carrier.close()

    run(tmp_path, test)


def test_a_restarted_node_waits_for_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.2)

    async def test(_: Manager, a: Node, b: Node) -> None:
        carrier = await joined(a, b)
        for networks in (ALL, ONE):
            await carrier.carry(Carry(b.node_id, networks))
        before = carried(a)
        again = await a.again()
        after = Carrier(again.book, again.sessions, again.kept)
        await after.restore()
        assert carried(again) == before
        await after.carry(Carry(b.node_id, ONE))
        await until(lambda: len(carried(again)) == 2)
        await after.close()

    run(tmp_path, test)


# who may


def test_who_may_ask() -> None:
    me, other = (pwd.getpwnam(name) for name in ("daemon", "nobody"))
    access = Access(Config(tunnel_users=("no-such-user", me.pw_name), key_users={"messenger": (me.pw_name,)}))
    carry, vouch = Carry("", ALL), Vouch("messenger", b"k")
    for request in (carry, Uncarry("", ALL), vouch):
        assert access.refusal(me.pw_uid, request) == access.refusal(0, request) == ""
        assert "may ask that (add yours in node.yaml)" in access.refusal(other.pw_uid, request)
    assert "key_users of 'other'" in access.refusal(me.pw_uid, Vouch("other", b"k"))
    assert "own user" in access.refusal(me.pw_uid, Member("", ()))


# packets

EXIT = "203.0.113.1"
LOST_AT_MOST = 100
"""Of 200: none, on a calm machine. On another one the session changes its path while its node is away."""

NAT = """table inet test_nat {
  chain marked {
    type filter hook forward priority -5;
    ip saddr 100.64.0.2 meta mark set 0x54000002
    ip daddr 100.64.0.2 meta mark set 0x54000002
  }
  chain out { type nat hook postrouting priority srcnat; ip saddr 100.64.0.2 oifname != "sky0" masquerade; }
}"""


@pytest.fixture
def pair(make_nodes: MakeNodes) -> Iterator[tuple[RealNode, RealNode]]:
    """A client and an exit that have joined the same manager, and an address beyond."""
    exit_node, client = make_nodes("mc", 'managers: [{at: "10.0.1.1:7997"}]\nlink_networks: [10.0.0.0/16]')
    router = exit_node.host.name.rpartition("-")[0] + "-router"
    ip("-n", router, "address", "add", f"{EXIT}/32", "dev", "lo")
    exit_node.start()
    manager = RealManager(exit_node)
    try:
        manager.start()
        client.start()
        client.waits(lambda status: status.works and status.links_up == 1)
        yield client, exit_node
    finally:
        manager.stop()


def line(node: RealNode) -> Line:
    return Line(node.folder / "node.sock")


def test_packets_pass_while_they_are_carried(pair: tuple[RealNode, RealNode]) -> None:
    client, exit_node = pair
    for name in ("sky0", "e1"):
        exit_node.host.run("sysctl", "-qw", f"net.ipv4.conf.{name}.forwarding=1")
    exit_node.host.run("ip", "route", "add", "100.64.0.2", "dev", "sky0")
    client.host.run("ip", "address", "add", "100.64.0.2/32", "dev", "sky0")
    client.host.run("ip", "route", "add", EXIT, "dev", "sky0", "src", "100.64.0.2")
    with line(exit_node) as published, line(exit_node) as far, line(client) as near:
        published.ask(Publish("vpn", 4443), Published)
        near.ask(Connect(exit_node.node_id, "vpn"), Connected)
        near.ask(Carry(exit_node.node_id, ALL, lingers_s=20), Carried)
        client.host.pings_in_vain(EXIT)
        far.ask(Carry(client.node_id, ("100.64.0.2/32",), forwards=True), Carried)
        client.host.pings_in_vain(EXIT)
        exit_node.host.run("nft", NAT)
        with pytest.raises(NodeRefusedError, match="by another program"):
            published.ask(Carry(client.node_id, ("100.64.0.2/32",), forwards=True), Carried)
        with pytest.raises(NodeRefusedError, match="on this connection"):
            published.ask(Uncarry(client.node_id, ("100.64.0.2/32",)), Carried)
        assert client.host.pings(EXIT)
        forged = client.host.run("ping", "-c1", "-W0.5", "-I", str(client.session_address), "fd00::1", ok=False)
        assert "1 packets transmitted, 0 received" in forged
        pinging = ping(client, "-i0.02", "-c200", "-W2", EXIT)
        for node in pair:
            node.kill()
            node.start()
            assert "0/0" in client.host.run("wg", "show", "sky0", "allowed-ips")
        assert "100.64.0.2/32" in exit_node.host.run("wg", "show", "sky0", "allowed-ips")
        with line(exit_node) as again, line(client) as again_near:
            again.ask(Carry(client.node_id, ("100.64.0.2/32",), forwards=True), Carried)
            again_near.ask(Carry(exit_node.node_id, ALL), Carried)
            assert lost(pinging) < LOST_AT_MOST
    client.host.pings_in_vain(EXIT)
    rules = exit_node.host.run("nft", "list", "table", "inet", "skywire")
    assert not re.search(r"100\.64\.0\.2", rules)


def test_a_wish_that_was_cut_short_is_undone(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        carrier = await joined(a, b)
        asking = asyncio.ensure_future(carrier.carry(Carry(b.node_id, ALL)))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled() == (carried(a) == set())

    run(tmp_path, test)
