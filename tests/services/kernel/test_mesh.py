"""Packets through the real thing: hosts in a row, WireGuard, VXLAN and nftables. What an outsider sees is asked of
`ping`, `wg` and `nft`, not of the code under test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest

from services.kernel import rules
from services.kernel.model import (
    FIRST_VNI,
    LINKS,
    SESSIONS,
    AllowedIp,
    Endpoint,
    Fact,
    Peer,
    Route,
    granted,
    opened,
    outer,
    pair,
    wire,
    wire_name,
)
from services.kernel.plan import want
from tests.services.kernel.hosts import Host, cable, ip, joined
from tests.services.kernel.words import Label, Node, ends, neighbour, own, relays, session, wired

MakeHost = Callable[[str], Host]
LABEL, OTHER = Label(0xABCDEF), Label(0x123456)
FORGED = ("fd4c::66", "fd52::66", "fd53::66")
DIAL = "import socket, sys; socket.create_connection(sys.argv[1:3], 0.7)"
LISTEN = """import socket, sys
server = socket.create_server((sys.argv[1], 1080), family=socket.AF_INET6)
print(flush=True)
while True:
    server.accept()"""
SEEN = """table inet seen {
  chain in { type filter hook prerouting priority -400; iifname "sky0" counter; }
}"""
TRACKED = """table inet seen {
  chain pass { type filter hook forward priority 10; ct state untracked counter; ct state != untracked counter; }
  chain out { type filter hook output priority 10; ip6 daddr fd52::/16 ct state != untracked counter; }
}"""
WIRE = wire_name(FIRST_VNI + 1)


def bring(host: Host, facts: list[Fact]) -> None:
    report = host.call("bring", want(facts))
    assert not report.failed, report.failed


def dropped(host: Host, what: str) -> int:
    return int(host.call("refusals")[what].packets)


def forwarded(host: Host, label: Label) -> tuple[int, int]:
    """Packets there and back."""
    there, back = (str(label.initiator), str(label.responder)), (str(label.responder), str(label.initiator))
    counters = {key[1:]: count.packets for key, count in host.call("counters").items()}
    return counters[there], counters[back]


@dataclass
class Row:
    """a - b = c - d: WireGuard links, and between b and c a wire. A route and a session go from a to d."""

    hosts: dict[str, Host]
    nodes: dict[str, Node]
    wanted: dict[str, list[Fact]]

    def bring(self) -> None:
        for name, host in self.hosts.items():
            bring(host, self.wanted[name])


def by_wire(label: Label, own_node: Node, node: Node, *, forward: bool) -> list[Fact]:
    """b's and c's part of a route: one side a WireGuard neighbour, the other the wire."""
    side, far = (label.initiator, label.responder) if forward else (label.responder, label.initiator)
    return [
        Route(IPv6Network(far), WIRE, via=node.wire_address),
        pair(LINKS, side, far),
        pair(WIRE, far, side),
    ]


@pytest.fixture
def row(make_host: MakeHost) -> Row:
    hosts = {name: make_host(name) for name in "abcd"}
    nodes = {name: Node(name) for name in "abcd"}
    for number, (left, right) in enumerate([("a", "b"), ("b", "c"), ("c", "d")], 1):
        cable(hosts[left], hosts[right], number)
    a, b, c, d = nodes.values()
    wanted: dict[str, list[Fact]] = {
        "a": [*own(a), *neighbour(b, "10.0.1.2"), *ends(LABEL, b, initiates=True), *session(d, LABEL.responder)],
        "b": [*own(b), *neighbour(a, "10.0.1.1"), *wired(b, c, 1, "10.0.2.1", "10.0.2.2")],
        "c": [*own(c), *neighbour(d, "10.0.3.2"), *wired(c, b, 1, "10.0.2.2", "10.0.2.1")],
        "d": [*own(d), *neighbour(c, "10.0.3.1"), *ends(LABEL, c, initiates=False), *session(a, None)],
    }
    wanted["b"] += [AllowedIp(LINKS, IPv6Network(LABEL.initiator), a.link_key), *by_wire(LABEL, b, c, forward=True)]
    wanted["c"] += [AllowedIp(LINKS, IPv6Network(LABEL.responder), d.link_key), *by_wire(LABEL, c, b, forward=False)]
    return Row(hosts, nodes, wanted)


@pytest.fixture
def two(make_host: MakeHost) -> tuple[Host, Host]:
    """a and b with a WireGuard link."""
    a, b = make_host("a"), make_host("b")
    cable(a, b, 1)
    bring(a, [*own(Node("a")), *neighbour(Node("b"), "10.0.1.2")])
    bring(b, [*own(Node("b")), *neighbour(Node("a"), "10.0.1.1")])
    return a, b


def test_a_link_carries(two: tuple[Host, Host]) -> None:
    a, b = two
    assert a.pings(Node("b").link_address)
    (traffic,) = b.call("traffic", LINKS)
    assert traffic.public_key == Node("a").link_key
    assert traffic.received > 0
    assert str(traffic.handshake_s) in b.run("wg", "show", LINKS, "latest-handshakes")


def test_a_route_and_a_session_through_relays(row: Row) -> None:
    row.bring()
    a, b, c, d = row.hosts.values()
    assert a.pings(LABEL.responder)
    before = forwarded(b, LABEL)
    assert a.pings(row.nodes["d"].session_address)
    assert d.pings(row.nodes["a"].session_address)
    there, back = forwarded(b, LABEL)
    assert there > before[0]
    assert back > before[1]
    assert forwarded(c, LABEL) == forwarded(b, LABEL)
    assert "sky0" in d.run("ip", "-6", "route", "get", str(row.nodes["a"].session_address))


def test_a_wrong_destination_is_dropped_and_counted(row: Row) -> None:
    a, b, c, _ = row.nodes.values()
    row.wanted["a"] += ends(OTHER, b, initiates=True)
    row.wanted["b"] += [AllowedIp(LINKS, IPv6Network(OTHER.initiator), a.link_key), *by_wire(OTHER, b, c, forward=True)]
    row.bring()
    first, relay = row.hosts["a"], row.hosts["b"]
    assert first.pings(LABEL.responder)
    strayed, passed = dropped(relay, "strayed"), forwarded(relay, OTHER)
    first.pings_in_vain(str(OTHER.responder), "-I", str(LABEL.initiator))
    assert dropped(relay, "strayed") == strayed + 3
    assert forwarded(relay, OTHER) == passed


def test_a_source_from_the_wrong_neighbour_is_not_taken(row: Row) -> None:
    row.bring()
    a, relay = row.hosts["a"], row.hosts["b"]
    assert a.pings(LABEL.responder)
    forger = OTHER.initiator
    a.run("ip", "-6", "address", "add", f"{forger}/128", "dev", LINKS)
    before = forwarded(relay, LABEL)
    a.pings_in_vain(str(LABEL.responder), "-I", str(forger))
    assert forwarded(relay, LABEL) == before
    assert a.pings(LABEL.responder)


def test_a_link_address_is_never_forwarded(row: Row) -> None:
    row.bring()
    a, relay = row.hosts["a"], row.hosts["b"]
    assert a.pings(LABEL.responder)
    far = row.nodes["d"].link_address
    a.call("amend", [AllowedIp(LINKS, IPv6Network(far), row.nodes["b"].link_key), Route(IPv6Network(far), LINKS)])
    relay.call("amend", [Route(IPv6Network(far), WIRE, via=row.nodes["c"].wire_address)])
    before = dropped(relay, "strayed")
    a.pings_in_vain(str(far))
    assert dropped(relay, "strayed") == before + 3


def test_a_neighbour_on_the_lan_cannot_forge(two: tuple[Host, Host]) -> None:
    lan, board = two
    ip("-n", board.name, "address", "add", "2001:db8::2/64", "dev", "e1", "nodad")
    ip("-n", lan.name, "address", "add", "2001:db8::1/64", "dev", "e1", "nodad")
    assert lan.pings("2001:db8::2")
    for forged in FORGED:
        ip("-n", lan.name, "address", "add", f"{forged}/128", "dev", "lo")
        before = dropped(board, "forged")
        lan.pings_in_vain("2001:db8::2", "-I", forged)
        assert dropped(board, "forged") == before + 3


def test_our_addresses_are_not_reached_from_the_lan(two: tuple[Host, Host]) -> None:
    lan, board = two
    ip("-n", board.name, "address", "add", "2001:db8::2/64", "dev", "e1", "nodad")
    ip("-n", lan.name, "address", "add", "2001:db8::1/64", "dev", "e1", "nodad")
    for target in (Node("b").link_address, Node("b").session_address):
        lan.run("ip", "-6", "route", "replace", str(target), "via", "2001:db8::2", "metric", "1")
        before = dropped(board, "forged")
        lan.pings_in_vain(str(target), "-I", "2001:db8::1")
        assert dropped(board, "forged") == before + 3


def test_a_peer_with_everything_delivers_no_address_of_ours(row: Row) -> None:
    """The sink peer owns our ranges, whatever else a VPN's peer may send."""
    everything = [AllowedIp(SESSIONS, IPv6Network("::/0"), row.nodes["a"].session_key)]
    row.wanted["d"] += everything
    row.bring()
    a, d = row.hosts["a"], row.hosts["d"]
    target = row.nodes["d"].session_address
    assert a.pings(target)
    a.run("ip", "-6", "address", "add", "2001:db8::1/128", "dev", SESSIONS)
    for forged in FORGED:
        a.run("ip", "-6", "address", "add", f"{forged}/128", "dev", SESSIONS)
    d.run("nft", SEEN)
    a.pings_in_vain(str(target), "-I", "2001:db8::1")
    assert "packets 3 " in d.run("nft", "list", "table", "inet", "seen")
    for forged in FORGED:
        a.pings_in_vain(str(target), "-I", forged)
    assert "packets 3 " in d.run("nft", "list", "table", "inet", "seen")


def test_a_third_host_on_the_switch_cannot_inject(make_host: MakeHost) -> None:
    left, right, third = (make_host(name) for name in ("left", "right", "third"))
    joined(make_host("switch"), left, right, third)
    nodes = [Node("left"), Node("right")]
    bring(left, [*own(nodes[0]), *wired(nodes[0], nodes[1], 1, "10.0.1.1", "10.0.2.1")])
    bring(right, [*own(nodes[1]), *wired(nodes[1], nodes[0], 1, "10.0.2.1", "10.0.1.1")])
    assert left.pings(nodes[1].wire_address, "-I", WIRE)
    words = f"ip link add v type vxlan id {FIRST_VNI + 1} local 10.0.3.1 remote 10.0.2.1 dstport 4789".split()
    third.run(*words)
    third.run("ip", "link", "set", "v", "up")
    third.run("ip", "-6", "address", "add", "fe80::66/64", "dev", "v", "nodad")
    before = dropped(right, "injected")
    third.pings_in_vain(str(nodes[1].wire_address), "-I", "v")
    assert dropped(right, "injected") > before
    assert "fe80::66" not in right.run("ip", "-6", "neigh", "show", "dev", WIRE)
    assert right.call("amend", [wire(IPv4Address("10.0.3.1"), FIRST_VNI + 1)]).failed == ()
    before = dropped(right, "injected")
    third.pings_in_vain(str(nodes[1].wire_address), "-I", "v")
    assert dropped(right, "injected") == before


def test_a_session_takes_packets_from_its_source_alone(row: Row) -> None:
    row.bring()
    a = row.hosts["a"]
    target = row.nodes["d"].session_address
    assert a.pings(target)
    report = a.call("amend", [outer(OTHER.responder)], [outer(LABEL.responder)])
    assert not report.failed
    before = dropped(a, "hijacked")
    a.pings_in_vain(str(target))
    assert dropped(a, "hijacked") >= before + 3
    a.call("amend", [outer(LABEL.responder)], [outer(OTHER.responder)])
    assert a.pings(target)


def test_services_are_reached_by_whom_they_are_open_to(row: Row) -> None:
    row.bring()
    a, d = row.hosts["a"], row.hosts["d"]
    target, asker = row.nodes["d"].session_address, row.nodes["a"].session_address
    assert a.pings(target)
    listening = d.popen("-c", LISTEN, str(target))
    try:
        dial = ("-c", DIAL, str(target), "1080")
        assert not a.python(*dial)
        d.call("amend", [granted(row.nodes["b"].session_address, "tcp", 1080)])
        assert not a.python(*dial)
        d.call("amend", [granted(asker, "tcp", 1080)])
        assert a.python(*dial)
        d.call("amend", [], [granted(asker, "tcp", 1080)])
        assert not a.python(*dial)
        d.call("amend", [opened("tcp", 1080)])
        assert a.python(*dial)
    finally:
        listening.kill()
        listening.communicate()


def test_a_board_forwards_and_accepts_nothing_else(make_host: MakeHost) -> None:
    left, board, right = (make_host(name) for name in ("left", "board", "right"))
    cable(left, board, 1)
    cable(board, right, 2)
    board.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    left.run("ip", "route", "add", "10.0.2.0/24", "via", "10.0.1.2")
    right.run("ip", "route", "add", "10.0.1.0/24", "via", "10.0.2.1")
    bring(board, own(Node("board")))
    assert left.pings("10.0.2.2")
    bring(board, own(Node("board"), rules.Settings(rules.Host.BOARD)))
    before = dropped(board, "strayed")
    left.pings_in_vain("10.0.2.2")
    assert dropped(board, "strayed") == before + 3
    assert left.pings("10.0.1.2")
    before = dropped(board, "refused")
    assert not left.python("-c", DIAL, "10.0.1.2", "22")
    assert dropped(board, "refused") > before


def test_a_peer_renewed_speaks_again(two: tuple[Host, Host]) -> None:
    a, _ = two
    assert a.pings(Node("b").link_address)
    peer = Peer(LINKS, Node("b").link_key, Endpoint(IPv4Address("10.0.1.2"), 51820))
    assert not a.call("renew", peer).failed
    assert a.call("traffic", LINKS)[0].handshake_s == 0
    assert a.pings(Node("b").link_address)
    assert IPv6Address(Node("b").link_address) in {
        fact.network.network_address for fact in a.call("read").values() if isinstance(fact, AllowedIp)
    }


def test_relays_in_a_row_by_wireguard(make_host: MakeHost) -> None:
    """Three hosts: both pairs of one label come in on `sky-link`; no connection of a route is tracked."""
    hosts = [make_host(name) for name in "abc"]
    a, b, c = (Node(name) for name in "abc")
    cable(hosts[0], hosts[1], 1)
    cable(hosts[1], hosts[2], 2)
    bring(hosts[0], [*own(a), *neighbour(b, "10.0.1.2"), *ends(LABEL, b, initiates=True)])
    bring(hosts[1], [*own(b), *neighbour(a, "10.0.1.1"), *neighbour(c, "10.0.2.2"), *relays(LABEL, a, c)])
    bring(hosts[2], [*own(c), *neighbour(b, "10.0.2.1"), *ends(LABEL, b, initiates=False)])
    for host in hosts[:2]:
        host.run("nft", TRACKED)
    assert hosts[0].pings(LABEL.responder)
    untracked, *tracked = re.findall(r"packets (\d+)", hosts[1].run("nft", "list", "table", "inet", "seen"))
    assert int(untracked) >= 2
    assert set(tracked) == {"0"}
    assert set(re.findall(r"packets (\d+)", hosts[0].run("nft", "list", "table", "inet", "seen"))) == {"0"}
    hosts[1].call("amend", [], relays(LABEL, a, c))
    hosts[0].run("ping", "-c2", "-i0.2", "-W1", str(LABEL.responder), ok=False)
    assert hosts[1].call("counters") == {}
    hosts[1].call("amend", relays(LABEL, a, c))
    assert hosts[0].pings(LABEL.responder)
