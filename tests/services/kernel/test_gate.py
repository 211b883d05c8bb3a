"""The image's own table and the node's together, scanned from another host: what is open is open because somebody said
so, and a node that is not there opens nothing.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.kernel import rules
from services.kernel.model import Fact, gateway, outside
from services.kernel.plan import want
from tests.services.kernel.hosts import Host, cable, ip
from tests.services.kernel.words import Label, Node, ends, neighbour, own, relays

MakeHost = Callable[[str], Host]

TREE = Path(__file__).parents[3]
SCAN = str(TREE / "tests/boot/scan_guest.py")
GATE = str(TREE / "rootfs_overlay/usr/lib/skywire/firewall.nft")
FOUR, SIX = "10.0.1.2", "2001:db8::2"
ALL, SOME = "1-65535", "1-100,5353,7997,8080,51820-51822"
ALWAYS = {"tcp": {22}, "udp": {5353}}
"""UDP 68 and 546 are open too: to who speaks from port 67, and to this network's link-local addresses."""


def scan(scanner: Host, ports: str, *places: str) -> dict[str, set[int]]:
    return {place: set(found) for place, found in json.loads(scanner.run(sys.executable, SCAN, ports, *places)).items()}


def look(scanner: Host) -> dict[str, set[int]]:
    """Of every protocol what is open by IPv4, which is the same by IPv6."""
    seen = scan(scanner, SOME, *(f"{protocol}/{address}" for protocol in ALWAYS for address in (FOUR, SIX)))
    for protocol in ALWAYS:
        assert seen[f"{protocol}/{FOUR}"] == seen[f"{protocol}/{SIX}"], protocol
    return {protocol: seen[f"{protocol}/{FOUR}"] for protocol in ALWAYS}


@pytest.fixture
def two(make_host: MakeHost) -> tuple[Host, Host]:
    """A scanner and a board; without the gate each port answers (by UDP a kernel answers some 50 at once)."""
    scanner, board = make_host("scanner"), make_host("board")
    cable(scanner, board, 1)
    for host, number in ((scanner, 1), (board, 2)):
        ip("-n", host.name, "address", "add", f"2001:db8::{number}/64", "dev", "e1", "nodad")
    board.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
    places = (f"tcp/{FOUR}", f"udp/{SIX}")
    assert scan(scanner, "1-40", *places) == {place: set(range(1, 41)) for place in places}
    board.run("nft", "-f", GATE)
    return scanner, board


def node_rules(*ports: tuple[str, int], host: rules.Host = rules.Host.BOARD) -> list[Fact]:
    """What a node whose `outside` lists these ports brings, without the interfaces."""
    return [rules.fixed(rules.Settings(host)), *(outside(*port) for port in ports)]


def test_without_a_node_a_board_answers_to_ssh_and_names_alone(two: tuple[Host, Host]) -> None:
    scanner, _ = two
    assert scan(scanner, ALL, f"tcp/{FOUR}", f"udp/{SIX}") == {f"tcp/{FOUR}": {22}, f"udp/{SIX}": {5353}}
    assert look(scanner) == ALWAYS
    assert scanner.pings(FOUR)
    assert scanner.pings(SIX)


def test_what_the_node_lets_in_is_open_as_long_as_its_rules_stand(two: tuple[Host, Host]) -> None:
    scanner, board = two
    names, join, own = ("udp", 5353), ("tcp", 7997), ("tcp", 8080)
    said = node_rules(("tcp", 22), names, join, own)
    assert not board.call("bring", want(said)).failed
    assert look(scanner) == {"tcp": {22, 7997, 8080}, "udp": {5353, 51820}}
    assert not board.call("amend", [], [outside(*join)]).failed
    board.crash()
    shut = {"tcp": {22, 8080}, "udp": {5353, 51820}}
    assert look(scanner) == shut
    assert not board.call("bring", want(said)).failed
    assert not board.call("bring", want(node_rules(host=rules.Host.WORKSTATION))).failed
    assert look(scanner) == ALWAYS
    assert not board.call("bring", want([])).failed
    assert "inet skywire\n" not in board.run("nft", "list", "tables")
    assert look(scanner) == ALWAYS


def test_a_board_without_a_node_passes_nothing_on(make_host: MakeHost) -> None:
    left, board, right = (make_host(name) for name in ("left", "board", "right"))
    cable(left, board, 1)
    cable(board, right, 2)
    board.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    left.run("ip", "route", "add", "10.0.2.0/24", "via", "10.0.1.2")
    right.run("ip", "route", "add", "10.0.1.0/24", "via", "10.0.2.1")
    assert left.pings("10.0.2.2")
    board.run("nft", "-f", GATE)
    left.pings_in_vain("10.0.2.2")
    assert left.pings("10.0.1.2")


def test_routes_pass_through_a_board_as_long_as_its_node_s_rules_stand(make_host: MakeHost) -> None:
    left, board, right = (make_host(name) for name in ("left", "board", "right"))
    a, b, c = (Node(name) for name in ("left", "board", "right"))
    label, settings = Label(0xABCDEF), rules.Settings(rules.Host.BOARD)
    cable(left, board, 1)
    cable(board, right, 2)
    board.run("nft", "-f", GATE)
    relaying = [*own(b, settings), *neighbour(a, "10.0.1.1"), *neighbour(c, "10.0.2.2"), *relays(label, a, c)]
    for host, facts in (
        (left, [*own(a), *neighbour(b, "10.0.1.2"), *ends(label, b, initiates=True)]),
        (board, relaying),
        (right, [*own(c), *neighbour(b, "10.0.2.1"), *ends(label, b, initiates=False)]),
    ):
        assert not host.call("bring", want(facts)).failed
    assert left.pings(label.responder)
    board.run("nft", "delete", "table", "inet", "skywire")
    left.pings_in_vain(label.responder)
    board.crash()  # whoever comes then looks at what is there
    assert not board.call("bring", want(relaying)).failed
    assert left.pings(label.responder)


SENT = """table inet sent {
  counter into_mesh {}
  chain out { type filter hook postrouting priority 300; oifname "sky0" ip6 nexthdr icmpv6 counter name into_mesh; }
}"""


def test_a_gateway_s_neighbours_pass_into_the_mesh_as_long_as_its_node_s_rules_stand(make_host: MakeHost) -> None:
    """Whether somebody there answers is another matter: what leaves towards it is counted."""
    left, board = make_host("left"), make_host("board")
    cable(left, board, 1)
    for host, number in ((left, 1), (board, 2)):
        ip("-n", host.name, "address", "add", f"2001:db8::{number}/64", "dev", "e1", "nodad")
    left.run("ip", "-6", "route", "add", "2001:db8:1::/48", "via", SIX)
    board.run("nft", "-f", GATE)
    node = own(Node("board"), rules.Settings(rules.Host.BOARD))
    assert not board.call("bring", want([*node, gateway("e1")])).failed
    board.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    board.run("ip", "-6", "route", "add", "2001:db8:1::/48", "dev", "sky0")
    board.run("nft", SENT)

    def passed() -> int:
        before = counted(board)
        left.pings_in_vain("2001:db8:1::1")
        return counted(board) - before

    assert passed() == 3
    board.run("nft", "delete", "table", "inet", "skywire")
    assert passed() == 0


def counted(board: Host) -> int:
    [packets] = re.findall(r"packets (\d+)", board.run("nft", "list", "counter", "inet", "sent", "into_mesh"))
    return int(packets)
