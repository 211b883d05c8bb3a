"""Whatever dies or changes, nothing goes past the tunnel: under a steady load on the machine, the router outside counts
its packets that are not the mesh's, not ARP, no discovery of neighbours or routers, and not DHCP. There are none.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.mesh import leak_lab
from tests.mesh.conftest import check_lab
from tests.mesh.leak_lab import CLIENT, GATE, HOME_PREFIX, NEIGHBOUR, RELAYS, WEB4, WEB6, LeakLab, run_leak_lab
from tests.services.vpn.kill_switch.senders import SAY

FLOWS_WITHIN_S = 80.0
FLOWS = ("web4", "web6", "name", "dns")
Event = Callable[[LeakLab], str]
"""Does something, and returns what was seen of it once all flows again."""


def flows_again(lab: LeakLab, since: int | None = None, kinds: tuple[str, ...] = FLOWS) -> float:
    """Until these kinds of the load have gone well; the seconds that took."""
    begin = lab.said() if since is None else since
    return lab.world.wait(lambda: lab.flows(begin, kinds), f"the load flows: {kinds}", FLOWS_WITHIN_S)


def client_killed(lab: LeakLab) -> str:
    lab.client.kill(signal.SIGKILL)
    lab.world.wait(lab.fails, "the tunnel of the killed client ends", FLOWS_WITHIN_S)
    since = lab.said()
    lab.start_client()
    return f"its tunnel ended, nothing flowed; started again, all flows after {flows_again(lab, since):.1f} s"


def relay_killed(lab: LeakLab) -> str:
    relay = lab.world.path(CLIENT, lab.server())[1]
    for pid in lab.world.host(relay).pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # on a slow machine another server is taken before the route is left, and nobody probes the idle session any more
    lab.world.wait(lambda: relay not in lab.world.path(CLIENT, lab.server()), f"the tunnel has left {relay}")
    took = flows_again(lab)
    way = lab.world.path(CLIENT, lab.server())
    lab.world.start_again(relay)
    assert relay in RELAYS, f"the first hop was '{relay}'"
    return f"all processes of {relay}; after {took:.1f} s over {'-'.join(way)}"


def server_killed(lab: LeakLab) -> str:
    first = lab.server()
    own = lab.world.host(first).node.address()
    lab.kill(lab.servers[first])
    since = lab.said()
    lab.world.wait(lambda: set(lab.exits(since)) - {own}, "another server is in use", FLOWS_WITHIN_S)
    took = flows_again(lab)
    second = lab.server()
    assert second != first
    lab.start_server(first)
    return f"{first}; {second} instead, all flows within {took:.1f} s more"


def manager_killed(lab: LeakLab) -> str:
    for job in ("manager", "node"):
        lab.world.host("m").job(job).kill(signal.SIGKILL)
    lab.world.wait(lambda: not lab.world.status(CLIENT).is_connected, "the client's node has no manager", 40)
    took = flows_again(lab)
    lab.world.start_again("m")
    lab.world.wait_joined(CLIENT)
    return f"and its node; all flowed on ({took:.1f} s)"


def interface_flapped(lab: LeakLab) -> str:
    cable = lab.world.lab.cable(CLIENT, "home")
    cable.down()
    lab.world.wait(lab.fails, "nothing flows", FLOWS_WITHIN_S)
    cable.up()
    return f"down and up; all flows after {flows_again(lab):.1f} s"


def dhcp_renewed(lab: LeakLab) -> str:
    """As a DHCP client does it: asks, gets another address, sets it and the route."""
    lab.host.run(["python3", "-c", SAY, "255.255.255.255", "67", "0", "68"], check=False)
    lab.host.run(["ip", "address", "add", "192.168.1.77/24", "dev", "home"])
    lab.host.run(["ip", "address", "del", "192.168.1.1/24", "dev", "home"])
    lab.host.run(["ip", "address", "add", "192.168.1.77/24", "dev", "home"], check=False)
    lab.host.run(["ip", "route", "replace", "default", "via", "192.168.1.254", "dev", "home"])
    return f"192.168.1.1 became 192.168.1.77; all flows after {flows_again(lab):.1f} s"


def ipv6_appears(lab: LeakLab) -> str:
    lab.advertise()
    listed = ["ip", "-6", "-o", "address", "show", "dev", "home", "scope", "global"]
    lab.world.wait(lambda: HOME_PREFIX[:-1] in lab.host.run(listed).stdout, "the machine has an IPv6 address of home")
    lab.world.wait(
        lambda: "default" in lab.host.run(["ip", "-6", "route", "show", "dev", "home"]).stdout, "and a route"
    )
    return f"by a router's advertisement, address and default route; all flows within {flows_again(lab):.1f} s"


def resolver_changed(lab: LeakLab) -> str:
    """As a DHCP client does it."""
    given = lab.host.folder / "resolv.conf"
    ours = given.read_text()
    given.write_text(f"nameserver {leak_lab.HOME_RESOLVER}\n")
    took = lab.world.wait(lambda: given.read_text() == ours, "the tunnel's resolver is set again", 20)
    flows_again(lab)
    return f"the network's own was set; the tunnel's again after {took:.1f} s"


def node_starts_again(lab: LeakLab) -> str:
    """Its sessions and the tunnel come back, with the same server."""
    before = lab.server()
    lab.world.host(CLIENT).job("node").kill(signal.SIGKILL)
    lab.world.start_again(CLIENT)
    took = flows_again(lab)
    assert lab.server() == before
    return f"killed and started; all flows after {took:.1f} s by the same server"


EVENTS: dict[str, Event] = {
    "relay killed": relay_killed,
    "server killed": server_killed,
    "manager killed": manager_killed,
    "interface flapped": interface_flapped,
    "DHCP renewed": dhcp_renewed,
    "IPv6 appears on the uplink": ipv6_appears,
    "DNS server changed": resolver_changed,
    "client killed": client_killed,
    "client's node killed": node_starts_again,
}

"""The rows of the leak table, in their order: each leaves the lab as it found it."""


def look(lab: LeakLab, event: Event) -> tuple[str, bool]:
    """A row: what was seen, and whether nothing leaked while the load went on, before, meanwhile and afterwards."""
    flows_again(lab)
    lab.leaks.start_anew()
    said = event(lab)
    counts = lab.leaks.counts()
    where = f", to {found}" if counts["leaked"] and (found := lab.leaks.where()) else ""
    seen = f"{said}; {counts['leaked']} packets leaked{where} ({counts['mesh']} of the mesh, {counts['needed']} needed)"
    return seen, counts["leaked"] == 0 and counts["mesh"] > 0


def deliberate_leak(lab: LeakLab) -> str:
    """One datagram that bears the node's mark, which only root can give it."""
    lab.host.run(["python3", "-c", SAY, WEB4, "9", "81"])
    lab.world.wait(lambda: lab.leaks.counts()["leaked"], "the router has seen it", 10)
    return "one datagram past the tunnel"


def stays_on_and_goes_off(lab: LeakLab) -> str:
    """An ordinary end leaves the kill switch on; `off` gives everything back."""
    lab.client.stop()
    lab.leaks.start_anew()
    time.sleep(1.0)
    assert lab.leaks.counts()["leaked"] == 0
    found = json.loads(lab.host.run(lab.command("kill-switch", "status", "--json")).stdout)
    assert found["is_on"]
    lab.host.run(lab.command("off"))
    flows_again(lab, kinds=("web4",))
    assert leak_lab.HOME_RESOLVER in (lab.host.folder / "resolv.conf").read_text()
    assert "proto 84" not in lab.host.run(["ip", "rule"]).stdout
    assert lab.host.run(["cat", f"/proc/sys/net/ipv4/conf/{NEIGHBOUR}/forwarding"]).stdout == "0\n"
    assert lab.leaks.counts()["leaked"]
    return f"stopped: 0 packets, {found['blocked']} refused; off: the load flows past it again"


def neighbour_goes_through(lab: LeakLab) -> str:
    """By IPv4, IPv6 and name, and with segments that fit; it asks its own resolver, and the tunnel's answers."""
    own = lab.world.host(lab.server())
    neighbour = lab.world.host(NEIGHBOUR)
    curl = ["curl", "-sgS", "--noproxy", "*", "-m", "15"]
    seen = neighbour.run([*curl, f"http://{WEB4}/"]).stdout.strip()
    assert seen == own.node.address(), seen
    seen6 = neighbour.run([*curl, f"http://[{WEB6}]/"]).stdout.strip()
    assert f"{seen6}/64" == leak_lab.ADDRESSES6[lab.server()][0][1], seen6
    got = neighbour.run([*curl, "-o", "/dev/null", "-w", "%{size_download}", f"http://{leak_lab.NAME}/bytes/2"]).stdout
    assert got == "2000000", got
    return f"as {seen} and {seen6}; {got} bytes by name"


def time_goes_through(lab: LeakLab) -> str:
    """A question to a time server arrives from the VPN server."""
    own = lab.world.host(lab.server()).node.address()
    web = lab.world.host("web")
    web.run(["nft", "add table inet t; add chain inet t i { type filter hook input priority 0; }"])
    try:
        web.run(["nft", f"add rule inet t i ip saddr {own} udp dport 123 counter"])
        lab.host.run(["python3", "-c", SAY, WEB4, "123", "0"])
        lab.world.wait(lambda: "packets 1 " in web.run(["nft", "list", "table", "inet", "t"]).stdout, "it came", 10)
    finally:
        web.run(["nft", "delete table inet t"])
    return f"a datagram to port 123 came from {own}"


def one_program_passes(lab: LeakLab) -> str:
    """Past the tunnel, and nothing else with it; without a client too, and no more once it has ended."""
    gate = next(
        str(port.address.ip) for port in lab.world.host(GATE).node.ports if port.device == "internet" and port.address
    )
    curl = ["curl", "-sgS", "--noproxy", "*", "-m", "15", f"http://{WEB4}/"]
    seen = lab.host.run(lab.command("portal", "--for", "20s", "--", *curl)).stdout.strip()
    assert seen == gate, seen
    lab.leaks.start_anew()
    server = lab.world.host(lab.server()).node.address()
    assert lab.host.run(curl).stdout.strip() == server
    assert lab.leaks.counts()["leaked"] == 0
    return f"came as {seen}, all others as {server}; then nothing more"


def any_resolver_is_the_tunnels(lab: LeakLab) -> str:
    """Where no file may be changed, the kernel leads questions to any resolver into the tunnel."""
    lab.client.stop()
    lab.start_client(dns="redirect")
    took = flows_again(lab, kinds=("own-network-dns", "dns", "name"))
    found = (lab.host.folder / "resolv.conf").read_text()
    lab.client.stop()
    lab.start_client()
    flows_again(lab)
    assert leak_lab.HOME_RESOLVER in found
    return f"what was asked of {leak_lab.HOME_RESOLVER} was answered after {took:.1f} s, resolv.conf as it was"


SCENES: dict[str, Event] = {
    "a neighbour's packets": neighbour_goes_through,
    "time synchronisation": time_goes_through,
    "a captive portal": one_program_passes,
    "questions to any resolver": any_resolver_is_the_tunnels,
}


def carriers_range_on_the_uplink(lab: LeakLab) -> str:
    """An uplink behind a carrier's NAT uses the range that the lease is of."""
    before = lab.status()["ipv4"]
    lab.host.run(["ip", "address", "add", "100.66.1.1/16", "dev", "home"])
    try:
        took = lab.world.wait(lambda: lab.status()["ipv4"] not in {"", before}, "the lease has moved", 40)
        flows_again(lab)
        after = lab.status()["ipv4"]
        assert not after.startswith("100."), after
    finally:
        lab.host.run(["ip", "address", "del", "100.66.1.1/16", "dev", "home"])
    return f"the uplink got 100.66.1.1: the lease {before} became {after} after {took:.1f} s"


def some_networks_only(lab: LeakLab) -> str:
    """Past the tunnel what is excluded; into it only what is listed."""
    gate = next(
        str(port.address.ip) for port in lab.world.host(GATE).node.ports if port.device == "internet" and port.address
    )
    seen = []
    for settings, is_past in (({"exclude": ["5.9.77.0/24"]}, True), ({"only": ["5.9.77.0/24"]}, False)):
        lab.client.stop()
        lab.start_client(**settings)
        lab.world.wait(lambda: lab.status()["phase"] == "up", "the client is up", FLOWS_WITHIN_S)
        who = lab.host.run(["curl", "-sgS", "--noproxy", "*", "-m", "15", f"http://{WEB4}/"]).stdout.strip()
        assert (who == gate) is is_past, (settings, who)
        seen.append(f"{settings}: came as {who}")
    lab.client.stop()
    lab.start_client()
    flows_again(lab)
    return "; ".join(seen)


PROVED: dict[str, Event] = {
    "a carrier's range on the uplink": carriers_range_on_the_uplink,
    "some networks only": some_networks_only,
}
"""Too long for every test run: `tests/prove` shows them."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeakLab]:
    check_lab()
    with run_leak_lab(tmp_path_factory.mktemp("leaks") / "lab") as found:
        yield found


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_leaks(lab: LeakLab, event: str) -> None:
    seen, is_tight = look(lab, EVENTS[event])
    assert is_tight, seen


@pytest.mark.parametrize("scene", SCENES)
def test_it_goes_through(lab: LeakLab, scene: str) -> None:
    SCENES[scene](lab)


def test_a_deliberate_leak_is_seen(lab: LeakLab) -> None:
    seen, is_tight = look(lab, deliberate_leak)
    assert not is_tight, seen
    assert WEB4 in seen


def test_only_off_opens_it(lab: LeakLab) -> None:
    stays_on_and_goes_off(lab)
