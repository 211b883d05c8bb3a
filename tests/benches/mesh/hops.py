"""What a hop adds to the round trip: pings to the last of four hosts in a row, less pings over one hop, halved; ours
and the peers in turns.
"""

from __future__ import annotations

import re
import statistics

from tests.benches.figures import Figure
from tests.benches.mesh import peers, throughput
from tests.benches.mesh.ground import Ground, run_ground
from tests.benches.mesh.programs import fetch_programs
from tests.benches.mesh.progress import tell
from tests.benches.mesh.throughput import CLAIMS, DIRECT, TINC, WG, WIRE, YGG_TCP, YGG_TLS
from tests.laboratory.host import Host

ROUNDS, PINGS = 15, 60
INTERVAL_S = "0.01"
EXTRA_HOPS = 2
TIME = re.compile(r" time=([0-9.]+) ms")
ROWS = (WIRE, WG, DIRECT, YGG_TCP, YGG_TLS, TINC)
ONE_HOP = {WIRE: DIRECT, WG: DIRECT}
"""Rows whose one hop is measured elsewhere; the others' in the same row."""


def bench(rounds: int = ROUNDS) -> list[Figure]:
    """About two minutes; needs root."""
    fetch_programs(newest=True)
    times: dict[tuple[str, bool], list[float]] = {}
    with run_ground({row: throughput.HOSTS[row] for row in ROWS}) as ground:
        targets = {row: throughput.builders()[row](ground) for row in ROWS}
        ground.stop_agents()
        for number in range(1, rounds + 1):
            for row, target in targets.items():
                for is_far, address in ends(ground, row, target).items():
                    times.setdefault((row, is_far), []).extend(ping(ground.row(row)[0], address))
            tell(f"round {number} of {rounds}: {statistics.median(times[WIRE, True]):.2f} ms over wires")
    return [figure for row in ROWS for figure in figures(row, times)]


def ends(ground: Ground, row: str, target: str) -> dict[bool, str]:
    """The far end, and for the peers' rows the nearest host too."""
    if row == DIRECT:
        return {False: target}
    if row in ONE_HOP:
        return {True: target}
    return {True: target, False: nearest(ground, row)}


def nearest(ground: Ground, row: str) -> str:
    host = ground.row(row)[1]
    if row == TINC:
        return f"{peers.TINC_NET}.2"
    return host.run(["yggdrasil", "-useconffile", str(host.folder / "yggdrasil.json"), "-address"]).stdout.strip()


def ping(host: Host, address: str) -> list[float]:
    """Milliseconds of each."""
    words = ["ping", "-c", str(PINGS), "-i", INTERVAL_S, "-s", "56", address]
    return [float(found) for found in TIME.findall(host.run(words).stdout)]


def figures(row: str, times: dict[tuple[str, bool], list[float]]) -> list[Figure]:
    if row == DIRECT:
        return [Figure(f"round trip, {CLAIMS[row]}, one hop", "", statistics.median(times[row, False]), "ms")]
    far, near = statistics.median(times[row, True]), statistics.median(times[ONE_HOP.get(row, row), False])
    note = f"over two relays {far:.3f} ms, one hop {near:.3f} ms"
    return [Figure(f"round trip added by a hop, {CLAIMS[row]}", "", (far - near) / EXTRA_HOPS, "ms", note)]
