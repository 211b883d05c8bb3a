"""`tests/lab line` as it is shipped: four hosts in a row, each with a viscript that runs its node."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.keys import NodeId, session_key
from tests.laboratory.topology import known, read_topology
from tests.mesh.conftest import check_lab
from tests.mesh.kernel_view import passed, transfer
from tests.mesh.stream import open_stream
from tests.mesh.world import World, run_world

ROW = ("n-1", "n-2", "n-3", "n-4")
TRIES = 3
Counts = tuple[list[int], list[int], list[int]]
PROBES = 200_000
"""Bytes that the ends may have sent over a route beside the session."""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    check_lab()
    with run_world(read_topology(known()["line"]), tmp_path_factory.mktemp("line") / "lab") as world:
        yield world


def links_are_the_cables(world: World) -> str:
    for number, name in enumerate(ROW):
        assert world.links_up(name) == {*ROW[max(0, number - 1) : number], *ROW[number + 1 : number + 2]}
    return "n-1 n-2 n-3 n-4 have links along the row and no others"


def test_links_are_the_cables(line: World) -> None:
    links_are_the_cables(line)


def apps_of_viscript(world: World) -> str:
    for name in ROW:
        apps = json.loads(world.host(name).run(["viscript", "--json", "la"]).stdout)["apps"]
        assert {app["app"] for app in apps} >= ({"node", "manager"} if name == "n-1" else {"node"})
        for app in (app for app in apps if app["app"] in {"node", "manager"}):
            told = world.host(name).run(["viscript", "ping", str(app["id"])]).stdout
            assert "ping time" in told
    return "viscript lists and pings them on all four hosts"


def test_node_and_manager_are_apps_of_viscript(line: World) -> None:
    apps_of_viscript(line)


def three_hops(world: World) -> str:
    """And every hop counts the same payload, which is what the ends' WireGuard counted, but for the probes. Tunnels in
    user space lose a packet now and then on a busy machine: then it is counted once more.
    """
    with world.session_to("n-1", "n-4", 7200):
        world.wait(lambda: world.path("n-1", "n-4") == ROW, "the session goes along the row")
        for _ in range(TRIES):
            before = count(world)
            with open_stream(world.host("n-4"), world.host("n-1"), 7200) as stream:
                stream.wait_bytes(300_000)  # slowly: tunnels in user space drop packets between them at full speed
                stream.close()
            after = count(world)
            here, there, ends = (
                [now - then for now, then in zip(*pair, strict=True)] for pair in zip(after, before, strict=True)
            )
            if here == there:
                break
    assert here == there, "the hops count differently"
    assert stream.received < ends[0] <= here[0]
    assert 0 < ends[1] <= here[1]
    assert max(here[0] - ends[0], here[1] - ends[1]) < PROBES
    return (
        f"{stream.received} bytes over {'-'.join(ROW)}; payload at both hops {here[0]}, WireGuard at the end {ends[0]}"
    )


def count(world: World) -> Counts:
    """Both relays' payload and the initiator's WireGuard, each inward and outward, while nothing was on its way."""
    paths = world.session("n-1", "n-4").paths
    far = next(path.address for path in paths if path.is_active)
    ways = ((far, f"{far[:-1]}1"), (f"{far[:-1]}1", far))
    found: list[Counts] = []

    def is_quiet() -> bool:
        hops = [passed(world.host(name)) for name in ("n-2", "n-3")]
        ends = transfer(world.host("n-1"), "sky0", session_key(NodeId(world.id("n-4"))))
        again = passed(world.host("n-2"))
        here, there, later = ([hop[way].payload for way in ways] for hop in (*hops, again))
        found.append((here, there, list(ends)))
        return here == later

    world.wait(is_quiet, "nothing is on its way for a moment", 20)
    return found[-1]


def test_a_session_over_three_hops(line: World) -> None:
    three_hops(line)
