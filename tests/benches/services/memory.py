"""What each service weighs, idle, on two hosts with real nodes: servers on one, clients that use them on the other."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.benches.figures import Figure
from tests.benches.mesh.progress import tell
from tests.benches.mesh.real import resident_mb
from tests.laboratory.model import By, Ready
from tests.mesh.places import read
from tests.mesh.world import World, run_world

TWO = """
description: two hosts on one cable; the first has the manager
hosts: [a, b]
cables: [{between: [a, b]}]
mesh: {managers: [a], plain: true}
"""
SETTLED_S = 15.0
READY = Ready(By.NOTIFY, within_s=60)
SERVICES = {
    "meshnet-vpn-server": ("a", "run"),
    "meshnet-socks-server": ("a", "run"),
    "meshnet-messenger": ("a", "run"),
    "apptracker": ("a", "127.0.0.1:20000"),
    "meshnet-socks-client": ("b", "run"),
    "meshnet-vpn-client": ("b", "run"),
}
"""Program → on which host, and what it is told; in the order of their start."""


def bench() -> list[Figure]:
    """Under a minute; needs root."""
    with (
        tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder,
        run_world(read(TWO), Path(folder, "lab"), tell) as world,
    ):
        for program, (name, word) in SERVICES.items():
            _start(world, program, name, word)
        time.sleep(SETTLED_S)
        weights = {program: resident_mb(world.host(name).job(program).pid) for program, (name, _) in SERVICES.items()}
    return [Figure(f"{program}, RSS, idle", "≤ 40 MB", weight, "MB") for program, weight in weights.items()]


def _start(world: World, program: str, name: str, word: str) -> None:
    host = world.host(name)
    words = [program, word]
    if word == "run":
        config = f"{program.removeprefix('meshnet-')}.yaml"
        host.write({config: ""})
        words += ["--config", str(host.folder / config)]
    host.start(words, name=program, ready=READY)
