"""What the programs weigh, idle, in a network of 100 nodes: a few are real, the rest only their ends at the manager."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from services.manager.api_words import GetNodes, Nodes
from tests.benches.figures import Figure
from tests.benches.mesh.progress import tell
from tests.benches.mesh.real import LINE, program_of, resident_mb, run_mesh
from tests.laboratory.host import TREE, Host
from tests.laboratory.mesh import JOIN_PORT
from tests.mesh.world import World

NODES = 100
SETTLED_S = 30.0
JOINED_WITHIN_S = 400.0
MANAGER = "m"


def bench(nodes: int = NODES) -> list[Figure]:
    """Some minutes; needs root."""
    with run_mesh(LINE) as world:
        real = len(world.lab.hosts)
        with run_crowd(world.host(MANAGER), nodes - real):
            tell(f"{real} nodes and {nodes - real} of which only the ends are there")
            world.wait(lambda: len(world.ask_manager(GetNodes(), Nodes).nodes) == nodes, f"{nodes} nodes are known")
            time.sleep(SETTLED_S)
            figures = weigh(world, nodes)
    return figures


def weigh(world: World, nodes: int) -> list[Figure]:
    host = world.host(MANAGER)
    server = [pid for pid in host.pids() if program_of(pid) == "nats-server"]
    tunnels = [pid for each in world.lab.hosts for pid in each.pids() if program_of(pid) == "wireguard-go"]
    plain = [each.job("node").pid for each in world.lab.hosts if each.name != MANAGER]
    found = {
        "node, RSS": ("≤ 45 MB", plain),
        "node beside the manager, RSS": ("", [host.job("node").pid]),
        "manager, RSS": ("≤ 60 MB", [host.job("manager").pid]),
        "nats-server, RSS": ("≤ 25 MB", server),
        "wireguard-go, RSS, of which a node without the kernel's has two": ("", tunnels),
    }
    return [
        Figure(f"{claim}, {nodes} nodes, idle", aim, statistics.median(map(resident_mb, pids)), "MB")
        for claim, (aim, pids) in found.items()
        if pids
    ]


@contextlib.contextmanager
def run_crowd(host: Host, count: int) -> Iterator[None]:
    words = [*host.inside(TREE), sys.executable, "-m", "tests.benches.mesh.crowd", str(count), str(JOIN_PORT)]
    words.append(host.node.ports[0].device)
    crowd = subprocess.Popen(
        words, env=host.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert crowd.stdout is not None
        if crowd.stdout.readline() != b"joined\n":
            raise OSError(f"the crowd of {count} nodes could not join: see what it wrote above")
        yield
    finally:
        crowd.kill()
        crowd.communicate(timeout=60)
