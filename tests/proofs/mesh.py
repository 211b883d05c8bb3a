"""`tests/prove mesh`: the rows of the mesh, each a scene of `tests/mesh` on a laboratory of real nodes and managers.

Who looks is the kernel of each host (counters of nftables, figures of WireGuard), a TCP stream between two session
addresses, and pings; the nodes' own words only say which way a session takes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from services.errors import IdentityError
from services.manager.errors import ManagerError
from services.node.errors import NodeError
from tests.boot.rows import Table
from tests.laboratory.errors import LabError
from tests.laboratory.model import Topology
from tests.laboratory.sweep import is_orphan, namespaces
from tests.laboratory.topology import known, read_topology
from tests.mesh import (
    places,
    test_commands,
    test_direct,
    test_failover,
    test_hostile,
    test_line,
    test_managers,
    test_sites,
)
from tests.mesh.world import World, run_world
from tests.proofs import mesh_rooms

Scene = Callable[[World], str]
Rows = list[tuple[str, Scene]]

TREE = Path(__file__).parents[2]
LAB = [sys.executable, "-m", "tests.laboratory", "skyminer", "--json"]
LAB_WITHIN_S = 180
ROUTE = "node connect pi-5 viscript --policy hops_at_least=2"

TROUBLES = (NodeError, ManagerError, LabError, IdentityError, SubprocessError, StopIteration, KeyError)

LINE: Rows = [
    ("links stand along the cables, and nowhere else", test_line.links_are_the_cables),
    ("node and manager are apps of viscript", test_line.apps_of_viscript),
    ("a session over three hops carries; every hop counts the same payload", test_line.three_hops),
]

FAILOVER: Rows = [
    *(
        (f"a download goes on: {what}", lambda world, way=way: test_failover.download_goes_on(world, way))
        for way, what in {
            "plug": "its relay loses power",
            "link": "a link is cut",
            "black-hole": "a hop swallows everything, silently",
            "loss-towards-client": "everything towards the client is lost",
            "loss-towards-server": "everything towards the server is lost",
            "processes": "all of its relay's processes are killed",
        }.items()
    ),
    ("a way that loses half of the packets is left", test_failover.half_lost_one_way),
    ("without any manager sessions go on and fail over", test_failover.no_manager_at_all),
    ("a node that starts again drops no packet", test_failover.restarts_drop_nothing),
    ("a direct session moves to a route and back", test_direct.direct_to_route_and_back),
    ("a policy of two hops is never direct", test_direct.two_hops_are_never_direct),
]

HOSTILE: Rows = [
    ("a valid route source with another route's destination", test_hostile.foreign_destination),
    ("a route source from the wrong neighbour", test_hostile.wrong_neighbour),
    ("a packet to fd4c that would need forwarding", test_hostile.link_address_forwarded),
    *(
        (f"a LAN host forges a {what} address", lambda world, what=what: test_hostile.forged_on_the_lan(world, what))
        for what in ("session", "route", "link")
    ),
    ("a VPN peer delivers fd4c, fd52 and a foreign fd53", test_hostile.vpn_peer),
    ("a session from an id that is not on the list", test_hostile.not_on_the_list),
]

PEOPLE: Rows = [
    ("commands answer in 80 columns and as JSON", test_commands.commands_answer),
    ("a route is built by hand", test_commands.built_by_hand),
    ("private keys stay where they are", test_commands.secrets_stay),
]

WIRES: Rows = [("a third host on the switch injects into a wire", test_hostile.injected_into_a_wire)]

SITES: Rows = [
    ("a session from one site to the other, both ways", test_sites.from_site_to_site),
    ("one host's viscript commands all seventeen", test_sites.one_commands_all),
]

MANAGERS: Rows = [
    *(
        (
            f"one of three managers is killed ({name})",
            lambda world, name=name: test_managers.manager_killed(world, name),
        )
        for name in test_managers.MANAGERS
    ),
    ("who is expelled is gone everywhere within 2 s", test_managers.expelled),
    ("names that the managers vouch for", test_managers.names),
]


def prove(scratch: Path, parts: set[str]) -> list[Table]:
    """Each network is up for its parts alone."""
    networks: list[tuple[str, Topology, dict[str, Rows]]] = [
        ("tests/lab line, four hosts in a row", read_topology(known()["line"]), {"line": LINE}),
        (
            "three ways from a to d",
            places.read(places.THREE_WAYS),
            {"people": PEOPLE, "hostile": HOSTILE, "failover": FAILOVER},
        ),
        ("four boards on a switch", places.read(places.RACK), {"wires": WIRES}),
        ("two racks behind a NAT router each", read_topology(known()["two-skyminers"]), {"sites": SITES}),
        ("three managers", places.read(places.THREE_MANAGERS), {"managers": MANAGERS}),
    ]
    tables = []
    if "rooms" in parts:
        tables.append(Table("bad input and small parts: the tests of each room"))
        mesh_rooms.fill(tables[-1], scratch / "rooms")
    if "skyminer" in parts:
        tables.append(Table("tests/lab skyminer"))
        _fill_skyminer(tables[-1])
    for number, (title, topology, rows) in enumerate(networks):
        wanted = [row for part, found in rows.items() if part in parts for row in found]
        if wanted:
            tables.append(Table(title))
            _fill(tables[-1], wanted, topology, scratch / str(number))
    return tables


def _fill(table: Table, rows: Rows, topology: Topology, folder: Path) -> None:
    begin = time.monotonic()
    try:
        with run_world(topology, folder) as world:
            count = len(topology.hosts)
            table.add("every node joins, every cable carries a link", f"{count} hosts, {since(begin)}", True)
            for claim, scene in rows:
                table.check(claim, lambda scene=scene: _look(scene, world))  # type: ignore[misc]
    except (*TROUBLES, AssertionError) as error:
        table.add("every node joins, every cable carries a link", f"after {since(begin)}: {error}", False)


def _fill_skyminer(table: Table) -> None:
    """As a person does it, from outside."""
    words = [*LAB, "--", "sh", "-c", f"{ROUTE} && ping -c3 -W5 pi-5.mesh && node sessions --json && viscript nodes"]
    done = subprocess.run(words, cwd=TREE, capture_output=True, text=True, timeout=LAB_WITHIN_S, check=False)
    said = done.stdout.splitlines()
    if done.returncode != 0 or not said:
        table.add("eight boards are up in seconds", f"exit {done.returncode}: {done.stderr[-300:]}", False)
        return
    lab = json.loads(said[0])
    table.add("eight boards are up in seconds", f"{lab['seconds']} s, {lab['memory_bytes'] / 1e6:.0f} MB in all", True)
    name_of = {node["id"]: node["name"] for node in lab["nodes"]}
    pinged = next((line for line in said if "packets transmitted" in line), "no ping")
    table.add(f"a working route in one command: {ROUTE}", pinged, " 0% packet loss" in pinged)
    sessions: list[dict[str, Any]] = next(json.loads(line)["sessions"] for line in said if '"is":"sessions"' in line)
    ways = [
        [name_of[node] for node in path["nodes"]]
        for session in sessions
        for path in session["paths"]
        if name_of[session["node_id"]] == "pi-5" and path["is_active"]
    ]
    table.add("which goes over another board", " ".join(map("-".join, ways)), [len(way) for way in ways] == [3])
    well = [line.split()[0] for line in said if line.startswith("pi-") and line.endswith(" well")]
    table.add("the first board's viscript commands all eight over the mesh", " ".join(well), len(well) == 8)
    left = [name for name in namespaces() if is_orphan(name)]
    table.add("nothing is left behind", ", ".join(left) or "no namespace of it", not left)


def _look(scene: Scene, world: World) -> tuple[str, bool]:
    try:
        return scene(world), True
    except TROUBLES as error:
        return f"{type(error).__name__}: {error}", False


def since(begin: float) -> str:
    return f"{time.monotonic() - begin:.1f} s"
