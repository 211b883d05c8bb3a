"""`tests/lab line` as it is shipped: four hosts in a row, each with a viscript that runs its node."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.keys import NodeId, session_key
from tests.laboratory.topology import known, read_topology
from tests.mesh.conftest import check_lab
from tests.mesh.kernel_view import Direction, passed, transfer
from tests.mesh.stream import open_stream
from tests.mesh.world import World, run_world

ROW = ("n-1", "n-2", "n-3", "n-4")
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
    """And every hop counts the same payload, which is what the ends' WireGuard counted, but for the probes."""
    with world.session_to("n-1", "n-4", 7200):
        assert world.path("n-1", "n-4") == ROW
        with open_stream(world.host("n-4"), world.host("n-1"), 7200) as stream:
            stream.wait_bytes(300_000)  # slowly: tunnels in user space drop packets between them at full speed
            stream.close()
            received = stream.received
        same: list[dict[Direction, int]] = []

        def counts_agree() -> bool:
            before, middle, after = (
                {way: count.payload for way, count in passed(world.host(name)).items()}
                for name in ("n-2", "n-3", "n-2")
            )
            same.append(before)
            return before == middle == after

        world.wait(counts_agree, "the hops count the same payload", 20)
        came, went = transfer(world.host("n-1"), "sky0", session_key(NodeId(world.id("n-4"))))
        (inward,) = [count for (source, _), count in same[-1].items() if source.endswith(":2")]
        (outward,) = [count for (source, _), count in same[-1].items() if source.endswith(":1")]
        assert received < came <= inward
        assert went <= outward
        assert inward - came < PROBES
        assert outward - went < PROBES
    return f"{received} bytes over {'-'.join(ROW)}; payload at both hops {inward}, WireGuard at the end {came}"


def test_a_session_over_three_hops(line: World) -> None:
    three_hops(line)
