"""A relay with 100,000 labels beside one that has a single one, for both kinds of links: what one more costs, and what
the crowd costs those that pass. Routes without a session: its price would hide the relay's.
"""

from __future__ import annotations

import random
import statistics
from itertools import chain

from services.kernel.model import Fact
from tests.benches.figures import Figure
from tests.benches.mesh import ours
from tests.benches.mesh.ground import Ground, run_ground
from tests.benches.mesh.programs import fetch_programs
from tests.benches.mesh.progress import tell
from tests.benches.mesh.pump import Flow, listen, pump
from tests.benches.mesh.throughput import calm
from tests.services.kernel.words import Label

MANY, ONE_BY_ONE = 100_000, 200
AT_ONCE = 10_000
ROUNDS, SECONDS = 15, 2
HOSTS, RELAY = 3, 1
KINDS = (ours.WIRE, ours.WG)


def bench(many: int = MANY, rounds: int = ROUNDS) -> list[Figure]:
    """Some minutes; needs root."""
    fetch_programs(newest=True)
    figures: list[Figure] = []
    rows = {name: HOSTS for kind in KINDS for name in (alone(kind), crowded(kind))}
    with run_ground(rows) as ground:
        targets = {}
        for kind in KINDS:
            for row in (alone(kind), crowded(kind)):
                targets[row] = ours.build_bare_route(ground, row, kind)
                listen(ground.row(row)[-1])
            figures += fill(ground, kind, many)
        ground.stop_agents()
        for kind in KINDS:
            figures.append(compare(ground, kind, targets, many, rounds))
    return figures


def alone(kind: str) -> str:
    return f"{kind}-one"


def crowded(kind: str) -> str:
    return f"{kind}-many"


def fill(ground: Ground, kind: str, many: int) -> list[Figure]:
    """Gives the relay its labels, and then some more, one after another."""
    hosts = ground.row(crowded(kind))
    line, agent = ours.Chain([host.node for host in hosts], kind), ground.agent(hosts[RELAY])
    first = one_by_one(ground, alone(kind), kind)
    labels = crowd(many)
    seconds = 0.0
    for start in range(0, many, AT_ONCE):
        facts: list[Fact] = list(chain.from_iterable(line.route(RELAY, one) for one in labels[start : start + AT_ONCE]))
        seconds += agent.amend(facts)
        tell(f"{kind}: {min(start + AT_ONCE, many):,} labels after {seconds:.1f} s")
    last = one_by_one(ground, crowded(kind), kind)
    return [
        Figure(
            f"{kind} links: one label more on a relay with {many:,}", "≤ 1 ms", last, "ms", f"with one: {first:.3f} ms"
        ),
        Figure(f"{kind} links: {many:,} labels, {AT_ONCE:,} at a time", "", seconds, "s"),
    ]


def crowd(many: int) -> list[Label]:
    """The same every time, and different from those that are added afterwards."""
    dice = random.Random(1)
    return [Label(dice.getrandbits(80)) for _ in range(many)]


def one_by_one(ground: Ground, row: str, kind: str) -> float:
    """Milliseconds for one label more, the median of many."""
    hosts = ground.row(row)
    line, agent, dice = ours.Chain([host.node for host in hosts], kind), ground.agent(hosts[RELAY]), random.Random(2)
    added = [line.route(RELAY, Label(dice.getrandbits(80) | 1 << 81)) for _ in range(ONE_BY_ONE)]
    return statistics.median([agent.amend(facts) for facts in added]) * 1e3


def compare(ground: Ground, kind: str, targets: dict[str, str], many: int, rounds: int) -> Figure:
    pairs: list[tuple[Flow, Flow]] = []
    for number in range(1, rounds + 1):
        one, full = (
            pump(ground.row(row)[0], targets[row], streams=1, namespaces=ground.namespaces, seconds=SECONDS)
            for row in (alone(kind), crowded(kind))
        )
        pairs.append((one, full))
        tell(f"{kind}, round {number} of {rounds}: {full.mbit_s:.0f} Mbit/s, {one.mbit_s:.0f} with one label")
    return share(kind, pairs, many)


def share(kind: str, pairs: list[tuple[Flow, Flow]], many: int) -> Figure:
    """Of the throughput that one with a single label has."""
    steady = calm(pairs)
    middle = statistics.median(full.mbit_s / one.mbit_s for one, full in steady) * 100
    best = max(full.mbit_s for _, full in pairs) / max(one.mbit_s for one, _ in pairs) * 100
    cpu = statistics.median(full.cpu_s_per_gb / one.cpu_s_per_gb for one, full in steady) * 100
    claim = f"{kind} links: throughput of a relay with {many:,} labels, of that with one"
    rounds = f"{len(steady)} of {len(pairs)} rounds"
    note = f"{rounds}; best against best {best:.0f} %; CPU for each GB {cpu:.0f} %"
    return Figure(claim, "≥ 95 %", middle, "%", note)
