"""`tests/lab two-sites` with what stands beyond it: a web server for IPv4 and IPv6, and its name server, which only the
west reaches. The east has IPv6 to its router as well, so that there is somewhere to leak to.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from services.keys import NodeId
from services.manager.routes.policy import Policy
from tests.laboratory.host import TREE
from tests.laboratory.job import Job
from tests.laboratory.model import By, Ready
from tests.laboratory.topology import known, read_topology
from tests.mesh.beyond import READY
from tests.mesh.onlooker import Onlooker
from tests.mesh.world import World, run_world

LAPTOP, EXIT, FRIEND, WEB, GATE = "laptop", "west-3", "west-5", "web", "west-gate"
NAME, WEB4, WEB6 = "web.example", "5.9.77.2", "2a01:4f8:77::2"
ADDRESSES6 = {
    "web": ("beyond", "2a01:4f8:77::2/64", "2a01:4f8:77::1"),
    "west-gate": ("beyond", "2a01:4f8:77::1/64", ""),
    "west-3": ("west", "2a01:4f8:2::3/64", "2a01:4f8:2::fe"),
    "laptop": ("east", "2a01:4f8:1::9/64", "2a01:4f8:1::fe"),
    "east-gate": ("east", "2a01:4f8:1::fe/64", ""),
}
"""Host → device, address, and its router, if any."""

WEST_AGAIN = ("west", "2a01:4f8:2::fe/64")
"""The second one of the west's router."""


class Sites:
    def __init__(self, world: World, web: Job, onlooker: Onlooker) -> None:
        self.world, self.onlooker = world, onlooker
        self._web = web
        self._started: set[tuple[str, str]] = set()
        self.laptop = world.host(LAPTOP)
        self.vpn = 0
        """The id of the laptop's VPN client."""

    def start(self, host: str, app: str, settings: Mapping[str, object]) -> int:
        """By that host's viscript; its id. Returns once viscript can ping it."""
        here = self.world.host(host)
        here.write({f"{app.removeprefix('meshnet-')}.yaml": msgspec.json.encode(settings).decode()})
        said = here.run(["viscript", "start", app]).stdout
        found = re.search(r"\(ID: (\d+), Command: ", said)
        assert found, said
        app_id = int(found[1])
        self.world.wait(lambda: self.is_pinged(host, app_id), f"'{app}' on '{host}' answers viscript", pause_s=0.2)
        self._started.add((host, app))
        return app_id

    def start_once(self, host: str, app: str, settings: Mapping[str, object]) -> None:
        """Unless it was started before."""
        if (host, app) not in self._started:
            self.start(host, app, settings)

    def is_pinged(self, host: str, app_id: int) -> bool:
        return "ping time" in self.world.host(host).run(["viscript", "ping", str(app_id)], check=False).stdout

    def stop(self, host: str, app_id: int) -> None:
        self.world.host(host).run(["viscript", "shutdown", str(app_id)])

    def curl(self, *words: str, at: str = LAPTOP, within_s: float = 20, check: bool = True) -> str:
        done = self.world.host(at).run(
            ["curl", "--silent", "--show-error", "--noproxy", "", "--max-time", f"{within_s:g}", *words],
            timeout_s=within_s + 10,
            check=check,
        )
        return done.stdout.strip() or f"curl: {done.returncode} {done.stderr.strip()}"

    def vpn_status(self) -> dict[str, object]:
        words = ["meshnet-vpn-client", "status", "--json", "--config", "vpn-client.yaml"]
        status: dict[str, object] = json.loads(self.laptop.run(words, check=False).stdout)
        return status

    def came(self) -> list[str]:
        """What the web server and the name server beyond were asked, and by whom."""
        return self._web.log.read_text().splitlines()

    @property
    def past_the_manager(self) -> Policy:
        """The manager's host is not to be a relay, since relays will lose power here."""
        return Policy(hops_at_least=2, exclude=frozenset({NodeId(self.world.id("meeting"))}))


@contextlib.contextmanager
def run_sites(scratch: Path) -> Iterator[Sites]:
    with run_world(read_topology(known()["two-sites"]), scratch) as world:
        _reach_beyond(world)
        world.host(WEB).job("http").stop()
        words = [*("python", "-m", "tests.mesh.beyond"), NAME, WEB4, WEB6]
        web = world.host(WEB).start(
            words, name="beyond", ready=Ready(By.LINE, READY, 30), env={"PYTHONPATH": str(TREE)}
        )
        yield Sites(world, web, Onlooker(world.lab, "east", LAPTOP))


def _reach_beyond(world: World) -> None:
    for name, (device, address, router) in ADDRESSES6.items():
        host = world.host(name)
        host.run(["ip", "address", "add", address, "dev", device, "nodad"])
        if router:
            host.run(["ip", "route", "replace", "default", "via", router, "dev", device])
        else:
            host.run(["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"])
    world.host(GATE).run(["ip", "address", "add", WEST_AGAIN[1], "dev", WEST_AGAIN[0], "nodad"])
    world.host(WEB).run(["ip", "route", "replace", "default", "via", "5.9.77.1"])
    for name in world.lab.topology.meshed:
        if name.startswith("west"):
            world.host(name).write({"resolv.conf": f"nameserver {WEB4}\n"})
    world.host(LAPTOP).write({"resolv.conf": "nameserver 192.168.1.254\noptions timeout:1 attempts:1\n"})
