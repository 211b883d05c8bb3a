"""The VPN server with real clients in namespaces: who is let out, where to, how fast, and what a restart costs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.kernel.hosts import DEADLINE_S, ip
from tests.services.vpn.server.world import PRIVATE, RESOLVER, WEB, WEB6, Client, World

WATCH = """table inet watch {
  counter ours {}
  counter theirs {}
  chain in {
    type filter hook prerouting priority raw;
    ip saddr { 100.64.0.0/10, 10.0.2.0/23 } counter name theirs
    ip6 saddr fc00::/7 counter name theirs
    ip saddr 10.0.1.1 counter name ours
  }
}"""
"""At the web server: packets that come from clients' own addresses, and from the server's."""


@pytest.fixture(scope="module", autouse=True)
def watched(world: World) -> None:
    world.hosts["web"].run("nft", WATCH)


def switch(world: World, name: str) -> str:
    return world.hosts["s"].run("cat", f"/proc/sys/net/ipv4/conf/{name}/forwarding").strip()


def seen(world: World, name: str) -> int:
    found = re.search(r"packets (\d+)", world.hosts["web"].run("nft", "list", "counter", "inet", "watch", name))
    assert found
    return int(found[1])


def fetch_slowly(client: Client, host: str) -> subprocess.Popen[str]:
    """Tells in the end how many bytes came."""
    words = ["-sS", "-m", "60", "--limit-rate", "200000", "-o", "/dev/null", "-w", "%{size_download}"]
    inside = [*client.node.host.inside(), "curl", *words, f"http://{host}/400000"]
    return subprocess.Popen(inside, stdout=subprocess.PIPE, text=True)


def test_clients_get_out_as_the_server_and_only_as_themselves(world: World) -> None:
    world.begin()
    one, two = world.client("a"), world.client("b")
    for client in (one, two):
        client.enter(WEB, WEB6, PRIVATE, "10.0.5.1")
    assert one.leased["ipv4"] != two.leased["ipv4"]
    four, six = one.fetch("mss").split(), two.fetch("mss", host=WEB6).split()
    assert (four[1], six[1]) == ("10.0.1.1", "2001:db8:1::1")
    # the least that the session's ways carry, and which ways it has found by now depends on the machine
    assert int(four[0]) in {1276, 1244}
    assert int(six[0]) in {1256, 1224}
    assert [one.question("udp"), one.question("tcp")] == ["by udp", "by tcp"]

    one.node.host.run("ip", "route", "add", two.leased["ipv4"], "dev", "sky0", "src", one.leased["ipv4"])
    one.node.host.pings_in_vain(two.leased["ipv4"])
    assert world.server.dropped("isolated") >= 3

    one.node.host.run("ip", "address", "add", "100.64.0.99/32", "dev", "sky0")
    for source in ("100.64.0.99", "10.0.2.1"):
        one.node.host.pings_in_vain(WEB, "-I", source)
    one.node.host.pings_in_vain(WEB6, "-I", str(one.node.session_address))
    assert world.server.dropped("forged") >= 3
    assert (seen(world, "theirs"), seen(world, "ours") > 0) == (0, True)

    one.node.host.pings_in_vain(PRIVATE)
    assert world.server.dropped("blocked") >= 3
    one.node.host.pings_in_vain("10.0.5.1")
    assert world.server.dropped("own") + world.server.dropped("blocked") >= 6

    listed = world.server.clients()
    assert set(listed) == {one.node.node_id, two.node.node_id}
    assert listed[two.node.node_id].received > 300
    assert world.server.status().summary == "lets 2 clients out by e1"


def test_an_address_in_use_elsewhere_is_moved(world: World) -> None:
    """Also where the client is behind carrier-grade NAT, which uses the whole range."""
    world.begin()
    first, second = world.client("a", "100.64.0.0/22"), world.client("b", "100.64.0.0/10", "2001:db8::/32")
    assert (first.leased["ipv4"], second.leased["ipv4"]) == ("100.64.4.2", "10.64.0.2")
    for client in (first, second):
        client.enter(WEB)
        assert client.fetch("mss").split()[1] == "10.0.1.1"
        assert client.question("udp") == "by udp"
    ip("-n", world.hosts["s"].name, "address", "add", "100.64.5.1/22", "dev", "e5")
    try:
        assert first.hear()["is"] == "ended"
        first.leave()
        world.clients.remove(first)
        assert world.client("a").leased["ipv4"] == "100.64.0.2"
    finally:
        ip("-n", world.hosts["s"].name, "address", "del", "100.64.5.1/22", "dev", "e5")


def test_what_is_private_is_let_out_where_it_is_allowed(world: World) -> None:
    world.begin(f"allow: [{PRIVATE}/32]\nblock: [{WEB}/32]\nipv6: false")
    client = world.client("a")
    client.enter(WEB, PRIVATE)
    assert client.leased["ipv6"] is None
    assert client.node.host.pings(PRIVATE)
    client.node.host.pings_in_vain(WEB)


def test_a_rate_is_kept(world: World, tmp_path: Path) -> None:
    """Beyond the second's worth that the bucket holds at the start; TCP makes at least four fifths of it."""
    rate, size = 3_000_000, 9_000_000  # bytes (a second)
    world.begin("rate_mbit: 24")
    client = world.client("a")
    client.enter(WEB)
    upload = tmp_path / "upload"
    upload.write_bytes(bytes(size))
    for words in (["-o", "/dev/null"], ["-T", str(upload), "-o", "/dev/null"]):
        told = client.fetch(str(size), *words, "-w", "%{size_download} %{size_upload} %{time_total}")
        received, sent, took_s = map(float, told.split())
        moved = max(received, sent)
        assert moved == size
        assert (moved - rate) / took_s <= 1.2 * rate
        assert moved / took_s >= 0.8 * rate
    assert world.server.dropped("over_rate") > 10


def test_a_quota_is_kept(world: World) -> None:
    """To the byte in the kernel; the client is told, and refused until it begins anew."""
    world.begin("quota_mb: 1")
    client = world.client("a")
    client.enter(WEB)
    assert client.leased["left_bytes"] == 1_000_000
    fetched = int(client.fetch("3000000", "-m", "2", "-o", "/dev/null", "-w", "%{size_download}"))
    assert 0.5e6 < fetched < 1e6
    assert world.server.dropped("over_quota") > 0
    ended = client.hear()
    assert (ended["is"], ended["why"]) == ("ended", "the quota of 1 MB is used up")
    for avoid in ((), ("100.64.0.0/22",)):
        refused = world.client("a", *avoid).leased
        assert (refused["is"], 80_000 < refused["again_s"] <= 86_400) == ("refused", True)
    world.server.stop()
    world.server.start()
    assert world.client("a").leased["is"] == "refused"
    assert world.client("b").leased["left_bytes"] == 1_000_000


def test_a_client_has_so_many_connections(world: World) -> None:
    """Or one of them could fill the table that this machine's own connections need."""
    world.begin("connections: 40")
    one, two = world.client("a"), world.client("b")
    for client in (one, two):
        client.enter(WEB)
    script = (
        "import socket, sys, time\n"
        "ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(80)]\n"
        "for end in ends: time.sleep(0.02); end.sendto(b'x', (sys.argv[1], 9))\n"
    )
    one.node.host.run(sys.executable, "-c", script, WEB)
    assert 30 <= world.server.status().dropped["too_many"] < 80
    assert two.fetch("mss").split()[1] == "10.0.1.1"
    one_way = (
        "import socket, sys, time\n"
        "end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for _ in range(300): time.sleep(0.001); end.sendto(b'x', (sys.argv[1], 9))\n"
    )
    before = world.server.status().dropped["too_many"]
    two.node.host.run(sys.executable, "-c", one_way, WEB)
    assert world.server.status().dropped["too_many"] == before
    assert world.server.clients()[two.node.node_id].sent >= 300 * 29


def test_the_uplink_is_whichever_the_route_says(world: World) -> None:
    server = world.hosts["s"]
    world.begin()
    client = world.client("a")
    client.enter(WEB)
    assert client.fetch("mss").split()[1] == "10.0.1.1"
    assert [switch(world, name) for name in ("sky0", "e1", "e5")] == ["1", "1", "0"]
    ip("-n", server.name, "route", "add", "default", "via", "10.0.5.2", "metric", "5")
    ip("-n", server.name, "route", "del", "default", "via", "10.0.1.2")
    ip("-n", server.name, "route", "add", "default", "via", "10.0.1.2", "metric", "9")
    try:
        world.wait(lambda: switch(world, "e5") == "1", "the second uplink forwards")
        assert client.fetch("mss").split()[1] == "10.0.5.1"
        ip("-n", server.name, "route", "del", "default", "via", "10.0.5.2")
        world.wait(lambda: switch(world, "e5") == "0", "the second uplink forwards no more")
        assert client.fetch("mss").split()[1] == "10.0.1.1"
        ip("-n", server.name, "route", "del", "default", "via", "10.0.1.2")
        world.wait(lambda: not world.server.status().works, "it has no uplink")
        assert world.server.status().summary == "lets NOBODY out: this machine has no default route"
        assert world.client("b").leased["why"] == "this server has no uplink just now"
    finally:
        ip("-n", server.name, "route", "replace", "default", "via", "10.0.1.2")


def test_a_restart_cuts_nobody_and_a_stop_leaves_nothing(world: World) -> None:
    server = world.hosts["s"]
    world.rest()
    before = server.run("sysctl", "-a", "-r", r"net\.ipv[46]\.conf\..*forwarding")
    world.begin("quota_mb: 100")
    client = world.client("a")
    client.enter(WEB, WEB6)
    client.fetch("200000")
    fetching = [fetch_slowly(client, host) for host in (WEB, f"[{WEB6}]")]
    world.server.end(signal.SIGKILL)
    assert client.node.host.pings(WEB)
    world.server.start()
    assert client.node.host.pings(WEB6)
    again = world.client("a")
    assert again.leased["ipv4"] == client.leased["ipv4"]
    assert again.leased["left_bytes"] < 99_800_000
    assert [fetch.communicate(timeout=DEADLINE_S)[0] for fetch in fetching] == ["400000", "400000"]
    world.nodes["s"].kill()
    world.nodes["s"].start()
    assert again.leased["ipv4"] in server.run("wg", "show", "sky0", "allowed-ips")
    assert again.node.host.pings(WEB)
    assert "let through until they are back" in world.server.log.read_text()
    rss = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{world.server.pid}/status").read_text())[0])
    assert rss <= 40 * 1024, rss
    world.server.stop()
    assert again.hear()["is"] == "ended"
    assert "skywire_vpn" not in server.run("nft", "list", "tables")
    assert (
        server.run("ip", "route", "show", "proto", "84") == server.run("ip", "-6", "route", "show", "proto", "84") == ""
    )
    assert "100.64" not in server.run("nft", "list", "table", "inet", "skywire")
    world.wait(lambda: server.run("sysctl", "-a", "-r", r"net\.ipv[46]\.conf\..*forwarding") == before, "as before")


def test_without_its_table_nothing_passes(world: World) -> None:
    """Somebody loads a firewall of his own, which flushes all others."""
    world.begin()
    client = world.client("a")
    client.enter(WEB, PRIVATE)
    assert client.node.host.pings(WEB)
    world.hosts["web"].run("nft", "reset", "counters", "table", "inet", "watch")
    world.hosts["s"].run("nft", "delete", "table", "inet", "skywire_vpn")
    client.node.host.pings_in_vain(PRIVATE)
    world.wait(lambda: client.node.host.pings(WEB), "it is made anew")
    client.node.host.pings_in_vain(PRIVATE)
    assert seen(world, "theirs") == 0


def test_commands(world: World) -> None:
    world.begin()
    client = world.client("a")
    told = world.server.command("status")
    assert told.startswith("lets 1 client out by e1\n")
    assert f"\nresolvers  {RESOLVER}\ndropped    nothing\nrefused    nothing\n" in told
    assert client.leased["ipv4"] in world.server.command("clients")
    (listed,) = json.loads(world.server.command("clients", "--json"))["clients"]
    assert listed["node_id"] == client.node.node_id


def test_two_servers_are_refused(world: World) -> None:
    if not world.server.runs:
        world.begin()
    words = ["-m", "services.vpn.server", "run", "--config", str(world.server.config)]
    python = re.split(r"\0", Path(f"/proc/{world.server.pid}/cmdline").read_text())[0]
    done = subprocess.run([python, *words], capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == 1
    assert "runs already" in done.stderr
