"""What 1,000 idle sessions cost a node: CPU and memory of its process, with them and without. It finds them in its RAM
folder as it would after a restart, as the one that was asked; the far ends are nowhere, and nothing passes.
"""

from __future__ import annotations

import os
import signal
import time

from services.keys import Identity, NodeId, new_seed
from services.node.api_words import GetSessions, Sessions
from services.node.kept import Kept
from services.node.session_words import Session, Way
from services.node.sessions import FILE
from tests.benches.figures import Figure
from tests.benches.mesh.cpu import of_processes_s
from tests.benches.mesh.progress import tell
from tests.benches.mesh.real import LINE, program_of, resident_mb, run_mesh
from tests.laboratory.mesh import NODE
from tests.mesh.world import World

COUNT, ROUTES = 1000, 2
SETTLED_S, MEASURED_S = 15.0, 60.0
AT, RAM = "d", "/run/skywire/node"
SESSION_PORT = 51821


def bench(count: int = COUNT) -> list[Figure]:
    """About three minutes; needs root."""
    with run_mesh(LINE) as world:
        alone_cpu, alone_mb = weigh(world)
        begin = time.monotonic()
        give_sessions(world, count)
        took = time.monotonic() - begin
        crowd_cpu, crowd_mb = weigh(world)
        tunnels = [pid for pid in world.host(AT).pids() if program_of(pid) == "wireguard-go"]
        before = of_processes_s(tunnels)
        time.sleep(SETTLED_S)
        tunnel_cpu = (of_processes_s(tunnels) - before) / SETTLED_S * 100
    what = f"a node with {count:,} idle sessions"
    return [
        Figure(f"CPU of {what}", "", crowd_cpu, "% of a core", f"without sessions {alone_cpu:.2f} %"),
        Figure(f"CPU of wireguard-go beside {what}", "", tunnel_cpu, "% of a core"),
        Figure(f"RSS of {what}", "", crowd_mb, "MB", f"without sessions {alone_mb:.1f} MB"),
        Figure(f"{count:,} sessions, found by a node that starts again", "", took, "s"),
    ]


def weigh(world: World) -> tuple[float, float]:
    """Percent of a core, and MB."""
    time.sleep(SETTLED_S)
    pid = world.host(AT).job(NODE[0]).pid
    before = of_processes_s([pid])
    time.sleep(MEASURED_S)
    used = (of_processes_s([pid]) - before) / MEASURED_S * 100
    tell(f"{used:.2f} % of a core, {resident_mb(pid):.1f} MB")
    return used, resident_mb(pid)


def give_sessions(world: World, count: int) -> None:
    """The node is killed, and starts again with them."""
    host = world.host(AT)
    host.job(NODE[0]).kill(signal.SIGKILL)
    kept = Kept(host.outside(RAM))
    for _ in range(count):
        words = make_session()
        kept.write(FILE + words.node_id, words)
    world.start_again(AT)
    world.wait_joined(AT)
    found = world.node(AT).ask(GetSessions(), Sessions).sessions
    if len(found) != count:
        raise OSError(f"the node holds {len(found)} sessions of {count}")


def make_session() -> Session:
    identity = Identity(new_seed())
    node_id = NodeId(identity.node_id)
    identity.wipe()
    ways = tuple(Way(os.urandom(12).hex(), 1420) for _ in range(ROUTES))
    return Session(node_id, False, SESSION_PORT, ways, ways[0].route, int(time.time()), services=("bench",))
