"""The rows of the app tracker, on two boards: what a second program finds, and when it no longer does."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from services.node.errors import NodeError
from tests.boot.rows import Row
from tests.laboratory.errors import LabError
from tests.laboratory.host import Host
from tests.mesh import places
from tests.mesh.world import World, run_world

TWO_BOARDS = """
description: two boards on one cable, each with viscript; the first has the manager
hosts: [a, b]
cables: [{between: [a, b]}]
mesh: node
"""
ADDRESS = "127.0.0.1:20000"
SHORTEST_LEASE_S, SERVICE_LEASE_S = 5.0, 90.0
SOON_S = 10.0
PLAIN = """
exec 3<>/dev/tcp/127.0.0.1/20000
echo '{words}' >&3
while read -r line <&3 && [ -n "$line" ]; do echo "$line"; done
"""


def rows() -> Iterator[Row]:
    with (
        tempfile.TemporaryDirectory(prefix="skywire-prove-") as scratch,
        run_world(places.read(TWO_BOARDS), Path(scratch, "lab")) as world,
    ):
        for claim, look in LOOKS.items():
            yield row(claim, lambda look=look: look(world))  # type: ignore[misc]


def row(claim: str, look: Callable[[], str]) -> Row:
    try:
        return Row(claim, look(), True)
    except (AssertionError, NodeError, LabError, OSError, ValueError) as error:
        return Row(claim, f"{type(error).__name__}: {error}", False)


def query(host: Host, *words: str) -> list[dict[str, object]]:
    said = host.run(["apptracker", ADDRESS, *words, "--query", "--json"]).stdout
    entries: list[dict[str, object]] = json.loads(said)["entries"]
    return entries


def names(host: Host, *words: str) -> list[str]:
    return [str(entry["name"]) for entry in query(host, *words)]


def started_by_viscript(world: World) -> str:
    a = world.host("a")
    said = a.run(["viscript", "start", "apptracker", ADDRESS]).stdout
    found = re.search(r"\(ID: (\d+), Command: (.*)\)", said)
    assert found, said
    world.wait(lambda: "ping time" in a.run(["viscript", "ping", found[1]], check=False).stdout, "apptracker answers")
    return f"$ s apptracker {ADDRESS} -> {said.strip()}"


def registered(world: World) -> str:
    a = world.host("a")
    told = a.run(["apptracker", ADDRESS, "camera", "--register", "192.0.2.7:554", "--type", "rtsp"]).stdout
    (entry,) = query(a, "camera")
    assert (entry["endpoint"], entry["type"], entry["source"]) == ("192.0.2.7:554", "rtsp", "here")
    assert query(a, "--type", "rtsp")[0]["name"] == "camera"
    assert query(a, "other") == []
    return f"{told.strip()}; by name and by type: {entry}"


def in_the_mesh(world: World) -> str:
    a = world.host("a")
    with world.node("b").publish("web", 8080):
        took = world.wait(lambda: "web" in names(a, "web"), "what the other board offers is in the directory")
        (entry,) = query(a, "--type", "web")
        assert (entry["node_id"], entry["source"]) == (world.id("b"), "mesh")
        assert {"web", "camera"} <= set(names(a))
        gone_from = time.monotonic()
    world.wait(lambda: "web" not in names(a), "it is withdrawn", SOON_S)
    return f"{entry['endpoint']} after {took:.1f} s; withdrawn: gone after {time.monotonic() - gone_from:.1f} s"


def by_hand(world: World) -> str:
    said = world.host("a").run(["bash", "-c", PLAIN.replace("{words}", "name camera")]).stdout
    assert said.startswith("camera rtsp 192.0.2.7:554 - "), said
    return f"'name camera' -> {said.strip()}"


def lease_ends(world: World) -> str:
    a = world.host("a")
    begin = time.monotonic()
    a.run(["apptracker", ADDRESS, "brief", "--register", "192.0.2.8:1", "--lease", f"{SHORTEST_LEASE_S:g}"])
    assert "brief" in names(a)
    world.wait(lambda: "brief" not in names(a), "the entry goes", SHORTEST_LEASE_S + 2)
    return f"a lease of {SHORTEST_LEASE_S:g} s, not renewed: gone {time.monotonic() - begin:.1f} s after it was entered"


def without_the_mesh(world: World) -> str:
    a = world.host("a")
    (pid,) = [pid for pid in a.pids() if b"services.node\0run" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    said = ""

    def is_told() -> bool:
        nonlocal said
        done = a.run(["apptracker", ADDRESS, "--query"])
        assert "camera" in done.stdout
        said = done.stderr.strip()
        return "without the mesh:" in said

    os.kill(pid, signal.SIGSTOP)
    try:
        world.wait(is_told, "the directory notes that the node hangs", SOON_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    return f"its own entries are told; {said}"


def dead_board(world: World) -> str:
    """Last: that board stays off. Its cable is pulled first, or its node would take back what dies before itself."""
    a, b = world.host("a"), world.host("b")
    b.start(["node", "publish", "lamp", "8081"], name="lamp")
    world.wait(lambda: "lamp" in names(a), "the other board's service is in the directory")
    begin = time.monotonic()
    world.lab.cable("a", "b").down()
    b.power_off()
    world.wait(lambda: "lamp" not in names(a), "the entry of a dead board goes", SERVICE_LEASE_S + SOON_S)
    return f"power off; gone after {time.monotonic() - begin:.0f} s, its lease is {SERVICE_LEASE_S:g} s"


LOOKS = {
    "s apptracker starts it, and viscript can ping it": started_by_viscript,
    "a second program finds what a first one registered, by name and by type": registered,
    "a service of another board is found beside it, with that board's node id, until it is withdrawn": in_the_mesh,
    "plain words do for a query by hand": by_hand,
    "a dead entry vanishes within its lease": lease_ends,
    "while the node hangs, what is registered is told all the same, and why the mesh is not": without_the_mesh,
    "the services of a board that lost power vanish within the manager's lease": dead_board,
}
