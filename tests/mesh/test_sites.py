"""`tests/lab two-skyminers` as it is shipped: two racks of eight boards, each behind a NAT router, one of them
symmetric, and a host on the net between with the manager.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.manager.routes.policy import Policy
from tests.laboratory.topology import known, read_topology
from tests.mesh.conftest import check_lab
from tests.mesh.stream import open_stream
from tests.mesh.world import World, run_world

HERE, THERE = "east-5", "west-3"


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    check_lab()
    with run_world(read_topology(known()["two-skyminers"]), tmp_path_factory.mktemp("sites") / "lab") as world:
        yield world


def from_site_to_site(world: World) -> str:
    """No packet can go straight from one router to the other: the host on the net relays."""
    seen = []
    for port, download in ((7600, True), (7601, False)):
        with (
            world.session_to(HERE, THERE, port, Policy()),
            open_stream(world.host(THERE), world.host(HERE), port, download=download) as stream,
        ):
            stream.wait_bytes(100_000)
            stream.close()
            seen.append(f"{stream.received} bytes over {'-'.join(world.path(HERE, THERE)) or 'no relay'}")
            assert "meeting" in world.path(HERE, THERE)
    return "; back: ".join(seen)


def one_commands_all(world: World) -> str:
    statuses = json.loads(world.lab.hosts[0].run(["viscript", "--json", "on", "all", "status"]).stdout)
    pids = {name: status.get("pid") for name, status in statuses.items()}
    assert len(pids) == 17
    assert all(pids.values())
    return f"the daemons of {len(pids)} hosts answer"


def test_a_session_goes_from_site_to_site(sites: World) -> None:
    from_site_to_site(sites)


def test_the_first_commands_all(sites: World) -> None:
    one_commands_all(sites)
