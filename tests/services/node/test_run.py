"""Whole nodes: `node run` in namespaces, on a real kernel, with wireguard-go where the kernel has no WireGuard."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time

import msgspec

from services.kernel.model import LINKS, SESSIONS
from services.keys import Identity, new_seed
from services.manager.record import make_record, sign_record
from tests.services.kernel.hosts import DEADLINE_S, ROOT
from tests.services.node.conftest import MakeNodes
from tests.services.node.world import LINK_PORT, Node, introduce, lay_route, start_all
from viscript.signal import SignalServer
from viscript.signal.model import Address
from viscript.signal.settings import make_environment

HOLE = """table inet hole {
  chain in { type filter hook prerouting priority -500; udp dport 51820 drop; }
}"""
NARROW = """table inet narrow {
  chain out { type filter hook output priority 0; udp dport 51820 meta length > 1450 drop; }
}"""
SEEN_WITHIN_S = 4.0
"""Two, on a calm machine."""


def sees(node: Node, what: str) -> None:
    """Waits until the node's log says so."""
    deadline = time.monotonic() + DEADLINE_S
    while not re.search(what, node.log.read_text()):
        assert time.monotonic() < deadline, f"'{what}' is not in:\n{node.log.read_text()}"
        time.sleep(0.05)


def ping(node: Node, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*node.host.inside(), "ping", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def lost(pinging: subprocess.Popen[str]) -> int:
    """Of all packets sent, how many never came back."""
    output, _ = pinging.communicate(timeout=DEADLINE_S)
    found = re.search(r"(\d+) packets transmitted, (\d+) received", output)
    assert found, output
    assert int(found[1]) > 100, output
    return int(found[1]) - int(found[2])


def test_no_packet_is_lost_when_a_node_is_killed_and_started_again(make_nodes: MakeNodes) -> None:
    a, relay, b = nodes = make_nodes("arb")
    introduce(a, relay, b)
    here, there = lay_route(a, relay, b)
    start_all(*nodes)
    sees(a, f"link to '{relay.node_id}' is up")
    sees(b, f"link to '{relay.node_id}' is up")
    assert a.host.pings(there, "-I", str(here))
    before = sorted(relay.host.run("wg", "show", LINKS, "latest-handshakes").splitlines())
    pinging = ping(a, "-i0.01", "-c1000", "-W2", "-I", here, there)
    relay.kill()
    sees(a, f"the node of '{relay.node_id}' does not run, its kernel forwards")
    a.kill()
    start_all(relay, a)
    relay.waits(lambda status: status.links_up == 2)
    relay.stop()
    relay.start()
    assert lost(pinging) == 0
    assert sorted(relay.host.run("wg", "show", LINKS, "latest-handshakes").splitlines()) == before


def test_down_leaves_nothing(make_nodes: MakeNodes) -> None:
    (node,) = make_nodes("a")
    node.start()
    assert SESSIONS in node.host.run("ip", "link")
    assert node.host.pings(node.session_address)
    node.stop()
    assert node.host.pings(node.session_address)
    node.down()
    left = node.host.run("ip", "link") + node.host.run("ip", "-6", "route", "show", "table", "all")
    assert "sky" not in left
    assert "skywire" not in node.host.run("nft", "list", "tables")


def test_two_nodes_do_not_share_a_folder(make_nodes: MakeNodes) -> None:
    (node,) = make_nodes("a")
    node.start()
    words = [*node.host.inside(), f"--wdns={ROOT}", *node.words("down")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == 1
    assert "a node runs already" in done.stderr
    assert SESSIONS in node.host.run("ip", "link")


def test_a_link_over_a_wire(make_nodes: MakeNodes) -> None:
    a, b = make_nodes("ab", "wires: [10.0.0.0/16]")
    a.neighbours([sign_record(b.identity, b.record(("10.0.2.1",)))])
    b.neighbours([sign_record(a.identity, a.record(("10.0.1.1",)))])
    here, there = lay_route(a, b, mtu=1450)
    start_all(a, b)
    sees(a, "is up")
    assert a.host.pings(there, "-I", str(here))
    assert "vxlan" in a.host.run("ip", "-d", "link", "show", "type", "vxlan")
    assert a.host.run("wg", "show", LINKS, "peers") == ""


def test_a_silent_link_is_seen_soon_and_found_again(make_nodes: MakeNodes) -> None:
    a, b = make_nodes("ab")
    introduce(a, b)
    start_all(a, b)
    for node in (a, b):
        node.waits(lambda status: status.links_up == 1)
    b.host.run("nft", HOLE)
    began_s = time.monotonic()
    a.waits(lambda status: status.links_up == 0)
    assert time.monotonic() - began_s < SEEN_WITHIN_S
    b.host.run("nft", "delete table inet hole")
    for node in (a, b):
        node.waits(lambda status: status.links_up == 1)


def test_a_link_over_a_narrow_underlay(make_nodes: MakeNodes) -> None:
    """Longer packets vanish without a word."""
    a, b = make_nodes("ab")
    introduce(a, b)
    b.host.run("nft", NARROW)
    start_all(a, b)
    a.waits(lambda status: status.links_up == 1)
    (link,) = a.links()
    assert (link.is_up, link.mtu) == (True, 1376)


def test_a_liar_holds_no_link(make_nodes: MakeNodes) -> None:
    """It says that a neighbour's link key is its own, and was heard first."""
    a, b = make_nodes("ab")
    with new_seed() as seed:
        liar = Identity(seed)
    theirs, false = a.record(), make_record(liar, 1, (f"{a.at}:{LINK_PORT}",), "1")
    false = msgspec.structs.replace(false, link_key=theirs.link_key, link_address=theirs.link_address)
    a.neighbours([sign_record(b.identity, b.record())])
    b.neighbours([sign_record(liar, false), sign_record(a.identity, theirs)])
    start_all(a, b)
    sees(b, f"link to '{a.node_id}' is up")
    status = b.waits(lambda status: status.links_up == 1)
    assert any("claims the link key" in trouble.what for trouble in status.troubles)
    assert f"link to '{liar.node_id}'" not in b.log.read_text()


def test_viscript_sees_whether_the_mesh_works_and_ends_the_node(make_nodes: MakeNodes) -> None:
    (node,) = make_nodes("a")
    place = node.folder / "signal"

    async def main() -> None:
        server = SignalServer()
        await server.start_unix(place)
        try:
            await asyncio.to_thread(lambda: node.start(**make_environment(Address("127.0.0.1", 1), 7, place)))
            await server.wait_connected(7, DEADLINE_S)
            assert (await server.report(7)).status == "NOT working: no manager is configured"
            await server.shutdown(7)
            assert await asyncio.to_thread(node.wait_end) == 0
        finally:
            await server.close()

    asyncio.run(main())
    assert node.host.pings(node.session_address)
