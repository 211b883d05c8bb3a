"""A machine behind a router, two VPN servers, two relays, and a web server beyond: the place where leaks are looked
for. What the machine sends is counted by the router, by its hardware address, before anything else is done to it.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.laboratory import machine
from tests.laboratory.errors import LabError
from tests.laboratory.host import TREE
from tests.laboratory.job import Job
from tests.laboratory.model import By, Ready
from tests.mesh import places
from tests.mesh.beyond import READY
from tests.mesh.world import World, run_world

PLACE = """
description: c is behind a router, and n behind c; s-1 and s-2 are VPN servers, r-1 and r-2 relays; web is beyond them
hosts: [m, c, n, s-1, s-2, r-1, r-2, web]
switches:
  home: {subnet: 192.168.1.0/24, members: [c]}
  internet: {subnet: 203.0.113.0/24, members: [m, s-1, s-2, r-1, r-2]}
  beyond: {subnet: 5.9.77.0/24, members: [web]}
cables:
  - {between: [c, n]}
routers:
  gate: {inside: home, outside: internet, nat: port-restricted}
  exit: {inside: internet, outside: beyond, nat: none}
mesh: {managers: [m], apart: [n, web], plain: true}
"""
CLIENT, NEIGHBOUR, GATE, SERVERS, RELAYS = "c", "n", "gate", ("s-1", "s-2"), ("r-1", "r-2")
NAME, WEB4, WEB6 = "web.example", "5.9.77.2", "2a01:4f8:77::2"
HOME_RESOLVER = "192.168.1.254"
ADDRESSES6 = {
    "web": [("beyond", "2a01:4f8:77::2/64", "2a01:4f8:77::1")],
    "exit": [("beyond", "2a01:4f8:77::1/64", ""), ("internet", "2a01:4f8:1::fe/64", "")],
    "s-1": [("internet", "2a01:4f8:1::1/64", "2a01:4f8:1::fe")],
    "s-2": [("internet", "2a01:4f8:1::2/64", "2a01:4f8:1::fe")],
    "c": [("n", "fd00:77::1/64", "")],
    "n": [("c", "fd00:77::2/64", "fd00:77::1")],
    "gate": [("internet", "2a01:4f8:1::9/64", "2a01:4f8:1::fe"), ("home", "2a01:4f8:5::fe/64", "")],
}
NEIGHBOURS = "nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert"
SILENT_S = 1.5
HOME_PREFIX = "2a01:4f8:5::"

RELAYS_ONLY = """table inet relays-only {
  chain through {
    type filter hook forward priority filter; policy accept;
    iifname "home" ip daddr { SERVERS } udp dport { 51820, 51821 } drop
    iifname "home" ip6 daddr { 2a01:4f8:1::1, 2a01:4f8:1::2 } udp dport { 51820, 51821 } drop
  }
}"""
"""The router lets nothing of the mesh pass to the servers themselves: the machine reaches them by relays."""

SEEN = """table netdev leaks {{
  counter mesh {{}}
  counter needed {{}}
  counter leaked {{}}
  set where4 {{ typeof ip daddr . meta l4proto . th dport; flags dynamic; size 4096; }}
  set where6 {{ typeof ip6 daddr . meta l4proto . th dport; flags dynamic; size 4096; }}
  chain from-home {{
    type filter hook ingress device "home" priority -400;
    ether saddr {hardware} jump from-machine
  }}
  chain from-machine {{
    ether type arp counter name needed return
    ip6 hoplimit 255 icmpv6 type {{ {neighbours} }} counter name needed return
    udp sport 68 udp dport 67 counter name needed return
    udp sport 546 udp dport 547 counter name needed return
    ip daddr {{ {nodes4} }} udp sport {{ 51820, 51821 }} udp dport {{ 51820, 51821 }} counter name mesh return
    ip6 daddr {{ {nodes6} }} udp sport {{ 51820, 51821 }} udp dport {{ 51820, 51821 }} counter name mesh return
    ip daddr {manager} tcp dport 7997 counter name mesh return
    counter name leaked
    update @where4 {{ ip daddr . meta l4proto . th dport }}
    update @where6 {{ ip6 daddr . meta l4proto . th dport }}
  }}
}}
"""


class Leaks:
    """The router's counters."""

    def __init__(self, world: World) -> None:
        lab = world.lab
        nodes = [world.host(name) for name in lab.topology.hosts if name not in {CLIENT, NEIGHBOUR, "web"}]
        six = [address.partition("/")[0] for name in SERVERS for _, address, _ in ADDRESSES6[name]]
        self._place = lab.namespace(GATE)
        machine.nft(
            SEEN.format(
                neighbours=NEIGHBOURS,
                hardware=json.loads(world.host(CLIENT).run(["ip", "-j", "link", "show", "dev", "home"]).stdout)[0][
                    "address"
                ],
                nodes4=", ".join(node.node.address() for node in nodes),
                nodes6=", ".join(six),
                manager=world.host("m").node.address(),
            ),
            self._place,
        )

    def start_anew(self) -> None:
        machine.nft("reset counters table netdev leaks\nflush set netdev leaks where4\n", self._place)
        machine.nft("flush set netdev leaks where6\n", self._place)

    def counts(self) -> dict[str, int]:
        return {one["counter"]["name"]: one["counter"]["packets"] for one in self._listed() if "counter" in one}

    def where(self) -> str:
        found = []
        for one in self._listed():
            for element in one.get("set", {}).get("elem", []):
                value = element["elem"]["val"] if "elem" in element else element
                found.append(" ".join(map(str, value["concat"])))
        return ", ".join(sorted(found))

    def _listed(self) -> list[dict[str, dict[str, Any]]]:
        return list(json.loads(machine.nft_json(self._place, "list", "table", "netdev", "leaks"))["nftables"])


class LeakLab:
    """`client` is the VPN client's process, `load` the steady load on its host."""

    def __init__(self, world: World, web: Job) -> None:
        self.world, self.web = world, web
        self.host = world.host(CLIENT)
        self.servers = {name: self._start_server(name) for name in SERVERS}
        self.leaks = Leaks(world)

    def _start_server(self, name: str) -> Job:
        here = self.world.host(name)
        here.write({"vpn-server.yaml": json.dumps({"resolvers": [WEB4]})})
        words = [sys.executable, "-m", "services.vpn.server", "run", "--config", str(here.folder / "vpn-server.yaml")]
        return here.start(words, name=f"vpn-{time.monotonic_ns()}", ready=Ready(By.NOTIFY, within_s=60))

    def start_server(self, name: str) -> None:
        self.servers[name] = self._start_server(name)

    def start_client(self, **more: object) -> None:
        """`more` settings than the lab's own."""
        policy = {"hops_at_least": 2, "exclude": [self.world.id("m")]}
        settings = {"servers": list(SERVERS), "policy": policy, "gateways": [NEIGHBOUR], **more}
        self.host.write({"vpn-client.yaml": json.dumps(settings)})
        self.client = self.host.start(
            self.command("run"), name=f"vpn-{time.monotonic_ns()}", ready=Ready(By.NOTIFY, within_s=60)
        )

    def command(self, *words: str) -> list[str]:
        program = [sys.executable, "-m", "services.vpn.client", words[0]]
        return [*program, "--config", str(self.host.folder / "vpn-client.yaml"), *words[1:]]

    def start_load(self) -> None:
        words = [sys.executable, "-m", "tests.mesh.load", NAME, WEB4, WEB6, HOME_RESOLVER]
        self.load = self.host.start(words, name="load")
        for address in (WEB4, WEB6):
            self.world.host(NEIGHBOUR).start(["ping", "-i", "0.2", address], name=f"ping-{address}")

    def said(self) -> int:
        """A place in what the load and its answers say, for `flows`."""
        return len(self.load.log.read_text())

    def flows(self, since: int, kinds: tuple[str, ...] = ("web4", "web6", "name", "dns")) -> bool:
        """Whether each kind went well since then."""
        text = self.load.log.read_text()[since:]
        return all(re.search(rf"^{kind} ", text, re.MULTILINE) for kind in kinds)

    def fails(self) -> bool:
        """Whether nothing has gone well for a while."""
        since, begin = self.said(), time.monotonic()
        while time.monotonic() < begin + SILENT_S:
            if self.said() > since:
                return False
            time.sleep(0.05)
        return True

    def exits(self, since: int) -> list[str]:
        """With whose addresses the web server was asked by IPv4 since then."""
        return re.findall(r"^web4 (\S+)$", self.load.log.read_text()[since:], re.MULTILINE)

    def server(self) -> str:
        """The one in use. Raises LabError while there is none."""
        name = self.world.name(self.status()["server"])
        if name.startswith("?"):
            raise LabError(f"no server is in use: {name}")
        return name

    def status(self) -> dict[str, Any]:
        """The client's own words."""
        found: dict[str, Any] = json.loads(self.host.run(self.command("status", "--json"), check=False).stdout)
        return found

    def kill(self, job: Job) -> None:
        job.kill(signal.SIGKILL)

    def advertise(self) -> None:
        """The router tells the machine's network of IPv6 (RFC 4861)."""
        head = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
        prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + socket.inet_pton(
            socket.AF_INET6, HOME_PREFIX
        )
        gate = self.world.host(GATE)
        with gate.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as door:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
            door.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"home")
            door.sendto(head + prefix, ("ff02::1", 0, 0, self._index(GATE, "home")))

    def _index(self, host: str, device: str) -> int:
        return int(
            json.loads(self.world.host(host).run(["ip", "-j", "link", "show", "dev", device]).stdout)[0]["ifindex"]
        )


@contextlib.contextmanager
def run_leak_lab(scratch: Path) -> Iterator[LeakLab]:
    """Entered once the machine's whole load goes out by the first server."""
    with run_world(places.read(PLACE), scratch) as world:
        _reach_beyond(world)
        words = [sys.executable, "-m", "tests.mesh.beyond", NAME, WEB4, WEB6]
        web = world.host("web").start(
            words, name="beyond", ready=Ready(By.LINE, READY, 30), env={"PYTHONPATH": str(TREE)}
        )
        lab = LeakLab(world, web)
        for name in (CLIENT, *SERVERS):
            world.wait(lambda name=name: set(RELAYS) <= world.links_up(name), f"'{name}' has links to both relays")  # type: ignore[misc]
        lab.start_client()
        lab.start_load()
        yield lab


def _reach_beyond(world: World) -> None:
    for name, rows in ADDRESSES6.items():
        host = world.host(name)
        for device, address, router in rows:
            host.run(["ip", "address", "add", address, "dev", device, "nodad"])
            if router:
                host.run(["ip", "route", "replace", "default", "via", router, "dev", device])
    for name in ("exit", GATE):
        world.host(name).run(["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"])
    world.host("exit").run(["ip", "route", "replace", f"{HOME_PREFIX}/64", "via", "2a01:4f8:1::9"])
    servers = ", ".join(world.host(name).node.address() for name in SERVERS)
    world.host(GATE).run(["nft", "-f", "-"], given=RELAYS_ONLY.replace("SERVERS", servers))
    world.host(NEIGHBOUR).run(["ip", "route", "replace", "default", "via", world.host(CLIENT).node.address(NEIGHBOUR)])
    world.host(NEIGHBOUR).write({"resolv.conf": f"nameserver {HOME_RESOLVER}\n"})
    world.host(CLIENT).write({"resolv.conf": f"nameserver {HOME_RESOLVER}\n"})
