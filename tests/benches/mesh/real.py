"""The real programs, node and manager, on hosts of the laboratory: the networks that the bench puts them in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benches.mesh.programs import fetch_programs
from tests.benches.mesh.progress import tell
from tests.laboratory.lab import Lab
from tests.mesh.places import read
from tests.mesh.world import World, run_world

LINE = """
description: four hosts in a row, and the manager beside them
hosts: [m, a, b, c, d]
switches: {control: {subnet: 203.0.113.0/24, members: ["*"]}}
cables:
  - {between: [a, b]}
  - {between: [b, c]}
  - {between: [c, d]}
mesh: {managers: [m], links: [10.128.0.0/9], plain: true}
"""


@contextmanager
def run_mesh(topology: str) -> Iterator[World]:
    """Everybody has joined, and every cable carries a link."""
    fetch_programs()
    with (
        tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder,
        run_world(read(topology), Path(folder, "lab"), tell) as world,
    ):
        yield world


def python_pids(lab: Lab) -> list[int]:
    """All Python processes on the lab's hosts."""
    return [pid for host in lab.hosts for pid in host.pids() if program_of(pid).startswith("python")]


def program_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / 1e6
