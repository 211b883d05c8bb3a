"""The VPN over two relays against a bare session on the same route: iperf3 from one end of a line of four real nodes to
the other end's session address, and through the VPN server there to a host beyond it, in turns.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.benches.figures import Figure
from tests.benches.mesh.progress import tell
from tests.benches.mesh.pump import PORT, Flow, listen, pump
from tests.benches.mesh.real import run_mesh
from tests.benches.mesh.throughput import calm
from tests.laboratory.model import By, Ready
from tests.mesh.world import World

LINE = """
description: four hosts in a row, the manager beside them, and a host beyond the last
hosts: [m, a, b, c, d, web]
switches: {control: {subnet: 203.0.113.0/24, members: [m, a, b, c, d]}}
cables:
  - {between: [a, b]}
  - {between: [b, c]}
  - {between: [c, d]}
  - {between: [d, web]}
mesh: {managers: [m], links: [10.128.0.0/9], apart: [web], plain: true}
"""
CLIENT, SERVER, BEYOND = "a", "d", "web"
POLICY = {"hops_at_least": 3, "hops_at_most": 3}
STREAMS = (1, 4)
ROUNDS, SECONDS = 9, 2
AIM = "≥ 0.9 times"
UP_WITHIN_S = 60.0


@dataclass(frozen=True)
class Lane:
    claim: str
    target: str
    flows: dict[int, list[Flow]] = field(default_factory=lambda: {streams: [] for streams in STREAMS})


def bench(rounds: int = ROUNDS, seconds: int = SECONDS) -> list[Figure]:
    with run_line() as world:
        lanes = (
            Lane("the VPN over two relays", world.host(BEYOND).node.address()),
            Lane("a bare session on the same route", world.host(SERVER).session_address),
        )
        for number in range(1, rounds + 1):
            for streams in STREAMS:
                for lane in lanes:
                    lane.flows[streams].append(_pump(world, lane, streams, seconds))
            last = ", ".join(f"{lane.flows[1][-1].mbit_s:.0f}" for lane in lanes)
            tell(f"round {number} of {rounds}: VPN, bare {last} Mbit/s")
        way = "-".join(world.path(CLIENT, SERVER))
    return [figure for streams in STREAMS for figure in _figures(*lanes, streams, way)]


@contextmanager
def run_line() -> Iterator[World]:
    """Entered once the client goes out by the server, and the far end takes a bare stream too."""
    with run_mesh(LINE) as world, world.node(SERVER).publish("pump", PORT, world.id(CLIENT)):
        client, server, web = world.host(CLIENT), world.host(SERVER), world.host(BEYOND)
        beyond = web.node.address()
        server.run(["ip", "route", "replace", "default", "via", beyond])
        server.write({"vpn-server.yaml": json.dumps({"allow": [f"{beyond}/32"], "ipv6": False})})
        client.write({"vpn-client.yaml": json.dumps({"policy": POLICY})})
        for host, program in ((server, "server"), (client, "client")):
            config = str(host.folder / f"vpn-{program}.yaml")
            words = [sys.executable, "-m", f"services.vpn.{program}", "run", "--config", config]
            host.start(words, name=f"vpn-{program}", ready=Ready(By.NOTIFY, within_s=UP_WITHIN_S))
        listen(server)
        listen(web)
        ping = ["ping", "-c1", "-W1", beyond]
        world.wait(lambda: client.run(ping, check=False).returncode == 0, "the client goes out", UP_WITHIN_S)
        yield world


def _pump(world: World, lane: Lane, streams: int, seconds: int) -> Flow:
    namespaces = [world.lab.namespace(name) for name in world.lab.network.nodes]
    return pump(world.host(CLIENT), lane.target, streams=streams, namespaces=namespaces, seconds=seconds)


def _figures(vpn: Lane, bare: Lane, streams: int, way: str) -> Iterator[Figure]:
    counted = "1 stream" if streams == 1 else f"{streams} streams"
    for lane in (vpn, bare):
        speed = statistics.median(flow.mbit_s for flow in lane.flows[streams])
        cpu = statistics.median(flow.cpu_s_per_gb for flow in lane.flows[streams])
        yield Figure(f"{lane.claim}, {counted}", "", speed, "Mbit/s", f"over {way}")
        yield Figure(f"{lane.claim}, {counted}, CPU for each GB", "", cpu, "s")
    everything = list(zip(vpn.flows[streams], bare.flows[streams], strict=True))
    pairs = calm(everything)
    middle = statistics.median(mine.mbit_s / theirs.mbit_s for mine, theirs in pairs)
    best = max(mine.mbit_s for mine, _ in everything) / max(theirs.mbit_s for _, theirs in everything)
    note = f"{len(pairs)} of {len(everything)} rounds; best against best {best:.2f}"
    yield Figure(f"the VPN against the bare session, {counted}", AIM, middle, "times", note)
    cpu = statistics.median(mine.cpu_s_per_gb / theirs.cpu_s_per_gb for mine, theirs in pairs)
    yield Figure(f"CPU of the VPN against the bare session, {counted}", "", cpu, "times")
