"""The rows of two clusters that peer by public key: the scenes of `tests/mesh/test_clusters`, in their order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from services.manager.errors import ManagerError
from services.node.errors import NodeError
from tests.boot.rows import Row
from tests.laboratory.errors import LabError
from tests.mesh import places, test_clusters
from tests.mesh.world import World, run_world

SCENES: dict[str, Callable[[World], str]] = {
    "a cluster asks another by public key, whose operator accepts": test_clusters.peered,
    "a node uses a service of the other cluster, and nothing else there": test_clusters.used,
    "a VPN client of one cluster uses a VPN server of the other": test_clusters.whole_vpn,
    "a relay of one's own side is killed meanwhile": lambda world: test_clusters.relay_killed(world, 1),
    "a relay of the other side is killed meanwhile": lambda world: test_clusters.relay_killed(world, 4),
    "unpeer takes links, labels, sessions and services of theirs away": test_clusters.parted,
}


BEHIND_NAT = {"a border behind symmetric NAT": test_clusters.behind_nat}


def rows() -> Iterator[Row]:
    yield from _rows(places.TWO_CLUSTERS, SCENES)
    yield from _rows(places.CLUSTER_BEHIND_NAT, BEHIND_NAT)


def _rows(place: str, scenes: Mapping[str, Callable[[World], str]]) -> Iterator[Row]:
    with (
        tempfile.TemporaryDirectory(prefix="skywire-prove-") as scratch,
        run_world(places.read(place), Path(scratch, "lab")) as world,
    ):
        for claim, scene in scenes.items():
            try:
                yield Row(claim, scene(world), True)
            except (AssertionError, NodeError, ManagerError, LabError, OSError, StopIteration) as error:
                yield Row(claim, f"{type(error).__name__}: {error}", False)
