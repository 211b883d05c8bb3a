"""What a running TCP download sees when its way breaks, in each of several manners: the silence until bytes come again.
The way is mended behind each, and the next one begins once there is a second way.
"""

from __future__ import annotations

import time

from tests.benches.figures import Figure
from tests.benches.mesh.progress import tell
from tests.benches.mesh.real import run_mesh
from tests.benches.mesh.spread import percentile
from tests.mesh.places import THREE_WAYS
from tests.mesh.test_failover import BREAKS
from tests.mesh.world import World

ROUNDS = 20
PORT = 7200
SOURCE, TARGET = "a", "d"
AIMS = {50: "≤ 0.4 s", 99: "≤ 1 s"}


def bench(rounds: int = ROUNDS) -> list[Figure]:
    """About five minutes; needs root."""
    gaps: dict[str, list[float]] = {way: [] for way in BREAKS}
    with run_mesh(THREE_WAYS) as world:
        for number in range(1, rounds + 1):
            for way, found in gaps.items():
                found.append(gap_after(world, way))
            tell(f"round {number} of {rounds}: " + ", ".join(f"{way} {found[-1]:.2f} s" for way, found in gaps.items()))
    return figures(gaps)


def gap_after(world: World, way: str) -> float:
    with world.stream(SOURCE, TARGET, PORT) as stream:
        relay = world.path(SOURCE, TARGET)[1]
        mend = BREAKS[way](world, relay)
        broken = time.monotonic()
        try:
            gap = stream.wait_resumed(broken)
        finally:
            mend()
            world.wait_joined(relay)
            world.wait_cables()
        stream.close()
    return gap


def figures(gaps: dict[str, list[float]]) -> list[Figure]:
    everything = [gap for found in gaps.values() for gap in found]
    note = "median by manner: " + ", ".join(f"{way} {percentile(found, 50):.2f} s" for way, found in gaps.items())
    return [
        Figure(
            f"gap of a download when its way breaks, p{percent} of {len(everything)}",
            aim,
            percentile(everything, percent),
            "s",
            note if percent == 50 else "",
        )
        for percent, aim in AIMS.items()
    ]
