"""The kill switch as a host next to it sees it: what comes over the cable is counted there, by the kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path

import pytest

from services.node.own import FWMARK
from services.vpn.kill_switch.rules import Exceptions, rules
from tests.services.kernel.hosts import ROOT, Host, cable, ip, sweep
from tests.services.vpn.kill_switch.senders import KNOCK, SAY

PROGRAM = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "services.vpn.client")
COUNTED = """
table inet seen {
  counter needed {}
  counter others {}
  chain in {
    type filter hook input priority -300; policy accept;
    iifname != "e1" accept
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } counter name needed accept
    udp sport 68 udp dport 67 counter name needed accept
    counter name others
  }
}
"""


class Pair:
    """The machine with the kill switch, and its neighbour on the cable."""

    def __init__(self, own: Host, other: Host, folder: Path) -> None:
        self.own, self.other, self.folder = own, other, folder

    def switch(self, *words: str, ok: bool = True, **settings: object) -> str:
        config = self.folder / "vpn-client.yaml"
        config.write_text(json.dumps({"card": str(self.folder / "card"), **settings}))
        return self.own.run(*PROGRAM, words[0], "--config", str(config), *words[1:], ok=ok)

    def load(self, **told: object) -> None:
        """The rules by themselves, as the client loads them."""
        self._load(rules(Exceptions(**told)).text)  # type: ignore[arg-type]

    def _load(self, text: str) -> None:
        file = self.folder / "rules.nft"
        file.write_text(text)
        self.own.run("nft", "-f", str(file))

    def unload(self) -> None:
        self._load("table inet skywire_kill {}\ndelete table inet skywire_kill\n")
        (self.folder / "card" / "kill-switch.json").unlink(missing_ok=True)

    def state(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.switch("kill-switch", "status", "--json", ok=False))
        return found

    def blocked(self) -> int:
        listed = json.loads(self.own.run("nft", "-j", "list", "counters", "table", "inet", "skywire_kill"))["nftables"]
        return int(next(one["counter"]["packets"] for one in listed if "counter" in one))

    def portals(self) -> bool:
        return "expires" in self.own.run("nft", "list", "set", "inet", "skywire_kill", "portals")

    def wait_on(self) -> None:
        deadline = time.monotonic() + 30
        while "skywire_kill" not in self.own.run("nft", "list", "tables"):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def sends(self, program: str, *words: str) -> bool:
        return self.own.python("-c", program, *words)

    def others(self) -> int:
        """Packets that came over and are not what an address needs, since this was last asked."""
        listed = json.loads(self.other.run("nft", "-j", "reset", "counters", "table", "inet", "seen"))["nftables"]
        found = (one["counter"] for one in listed if one.get("counter", {}).get("name") == "others")
        return int(next(found)["packets"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if os.geteuid() != 0:
        pytest.skip("makes network namespaces: run as root")
    sweep()
    with ExitStack() as stack:
        own, other = Host("own"), Host("other")
        stack.callback(own.close)
        stack.callback(other.close)
        for host in (own, other):
            for name in ("all", "default"):
                host.run("sysctl", "-qw", f"net.ipv6.conf.{name}.accept_dad=0")
        cable(own, other, 1)
        for host, end in ((own, 1), (other, 2)):
            ip("-n", host.name, "address", "add", f"fd00::{end}/64", "dev", "e1", "nodad")
        ip("-n", own.name, "route", "add", "default", "via", "10.0.1.2")
        ip("-n", own.name, "route", "add", "default", "via", "fd00::2", "dev", "e1")
        found = Pair(own, other, tmp_path_factory.mktemp("switch"))
        other.run("sh", "-c", f"echo '{COUNTED}' | nft -f -")
        yield found


@pytest.fixture
def on(pair: Pair) -> Iterator[Pair]:
    pair.load()
    pair.others()
    yield pair
    pair.unload()


def test_nothing_leaves_but_what_an_address_needs(on: Pair) -> None:
    for address in ("10.0.1.2", "fd00::2"):
        on.own.pings_in_vain(address)
        assert not on.sends(KNOCK, address, "80", "tcp", "0")
        on.sends(SAY, address, "53", "0")
    on.sends(SAY, "255.255.255.255", "5353", "0")
    assert on.others() == 0
    assert on.blocked() >= 10


def test_the_nodes_mark_and_loopback_pass(on: Pair) -> None:
    assert on.sends(SAY, "10.0.1.2", "51820", str(FWMARK))
    assert on.others() == 1
    assert on.own.pings("127.0.0.1")


def test_dhcp_passes(on: Pair) -> None:
    assert on.sends(SAY, "10.0.1.2", "67", "0", "68")
    assert "packets 0 " not in on.other.run("nft", "list", "counter", "inet", "seen", "needed")
    assert on.others() == 0


def test_the_same_rules_again_change_nothing(on: Pair) -> None:
    on.own.pings_in_vain("10.0.1.2")
    before = on.state()
    assert before["is_on"]
    assert int(str(before["blocked"])) > 0
    on.switch("kill-switch", "on")
    assert on.state() == before


def test_it_is_there_again_after_the_power_was_off(on: Pair) -> None:
    on.switch("kill-switch", "on")
    on.own.run("nft", "flush", "ruleset")
    assert on.own.pings("10.0.1.2")
    on.switch("kill-switch", "restore")
    on.own.pings_in_vain("10.0.1.2")
    on.switch("kill-switch", "off")
    on.switch("kill-switch", "restore")
    assert not on.state()["is_on"]


def test_a_way_out_is_no_gateway(pair: Pair) -> None:
    """It was named as one by mistake, or got a default route later."""
    pair.switch("kill-switch", "on", gateways=["e1"])
    try:
        pair.others()
        pair.own.pings_in_vain("10.0.1.2")
        said = pair.switch("run", ok=False, gateways=["e1"], ram=str(pair.folder / "ram"))
        assert said == ""
        pair.own.pings_in_vain("10.0.1.2")
        assert pair.others() == 0
    finally:
        pair.switch("off", ram=str(pair.folder / "ram"))


def test_a_client_without_a_tunnel_mends_it(pair: Pair) -> None:
    """Somebody flushes all rules while there is not even a node."""
    config = pair.folder / "run.yaml"
    places = {name: str(pair.folder / name) for name in ("ram", "card", "node")}
    config.write_text(json.dumps(places))
    running = subprocess.Popen([*pair.own.inside(), *PROGRAM, "run", "--config", str(config)])
    try:
        pair.wait_on()
        pair.own.run("nft", "flush", "ruleset")
        pair.wait_on()
        pair.own.pings_in_vain("10.0.1.2")
    finally:
        running.terminate()
        assert running.wait(20) == 0
    pair.own.pings_in_vain("10.0.1.2")
    pair.switch("off", ram=str(pair.folder / "ram"))
    assert pair.own.pings("10.0.1.2")


def test_a_packet_that_is_rerouted_is_seen_where_it_leaves(on: Pair) -> None:
    """Another program's mark and rule send it out by the cable, after the output hook saw it go to loopback."""
    on.own.run("sh", "-c", f"echo '{REROUTED}' | nft -f -")
    on.own.run("ip", "rule", "add", "fwmark", "7", "lookup", "77", "priority", "0")
    on.own.run("ip", "route", "add", "10.0.1.2", "dev", "e1", "table", "77")
    on.own.run("ip", "route", "add", "10.0.1.2", "dev", "lo")
    try:
        on.sends(SAY, "10.0.1.2", "9", "0")
        assert on.others() == 0
        assert on.blocked() > 0
        on.unload()
        on.sends(SAY, "10.0.1.2", "9", "0")
        assert on.others() == 1
    finally:
        on.own.run("nft", "delete", "table", "inet", "other")
        on.own.run("ip", "route", "del", "10.0.1.2", "dev", "lo")
        on.own.run("ip", "rule", "del", "priority", "0", "fwmark", "7", "lookup", "77")


def test_what_is_told_passes_but_not_its_resolvers(pair: Pair) -> None:
    pair.load(open_networks=(ip_network("10.0.1.0/24"),))
    try:
        pair.others()
        assert pair.own.pings("10.0.1.2")
        pair.own.pings_in_vain("fd00::2")
        assert pair.others() > 0
        pair.sends(SAY, "10.0.1.2", "53", "0")
        assert not pair.sends(KNOCK, "10.0.1.2", "853", "tcp", "0")
        assert pair.others() == 0
    finally:
        pair.unload()


def test_only_what_is_listed_is_kept_in(pair: Pair) -> None:
    pair.load(held=(ip_network("fd00::/64"),))
    try:
        assert pair.own.pings("10.0.1.2")
        pair.own.pings_in_vain("fd00::2")
    finally:
        pair.unload()


def test_answers_of_a_port_may_leave(pair: Pair) -> None:
    listening = pair.own.popen("-c", LISTEN, "2222")
    try:
        for reachable, comes in (((("tcp", 2222),), True), ((), False)):
            pair.load(reachable=reachable)
            assert pair.other.python("-c", KNOCK, "10.0.1.1", "2222", "tcp", "0") is comes
    finally:
        pair.unload()
        listening.kill()
        listening.communicate()


def test_one_program_passes_for_its_time(on: Pair) -> None:
    words = ["portal", "--for", "2s", "--", sys.executable, "-c", FOR_A_WHILE, "10.0.1.2"]
    done = subprocess.run(
        [*on.own.inside(), *PROGRAM, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert not on.portals()
    on.own.pings_in_vain("10.0.1.2")


def test_a_portal_whose_starter_is_killed_closes_by_itself(on: Pair) -> None:
    words = [*on.own.inside(), *PROGRAM, "portal", "--for", "2s", "--", "sleep", "30"]
    started = subprocess.Popen(words)
    deadline = time.monotonic() + 20
    while not on.portals():
        assert time.monotonic() < deadline
    started.kill()
    started.wait()
    while on.portals():
        assert time.monotonic() < deadline


REROUTED = """table inet other {
  chain others_way { type route hook output priority -150; ip daddr 10.0.1.2 udp dport 9 meta mark set 7; }
}"""
LISTEN = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print(flush=True)
while True: server.accept()
"""
FOR_A_WHILE = """
import socket, sys, time
def passes():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try: sender.sendto(b"x", (sys.argv[1], 9))
        except PermissionError: return False
        return True
assert passes()
deadline = time.monotonic() + 10
while passes():
    assert time.monotonic() < deadline, "it never closed"
    time.sleep(0.1)
"""
