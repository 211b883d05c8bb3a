"""Throughput, and CPU seconds of the whole machine for each GB, from host to host over two relays: ours in all its
kinds and the peers, in turns in the same run, so that a busy moment of a shared machine strikes all of them.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.benches.figures import Figure
from tests.benches.mesh import ours, peers
from tests.benches.mesh.ground import Ground, run_ground
from tests.benches.mesh.programs import fetch_programs, version_of
from tests.benches.mesh.progress import tell
from tests.benches.mesh.pump import Flow, listen, pump

STREAMS = (1, 4)
ROUNDS, SECONDS = 15, 2
CALM, LEAST_CALM = 0.25, 5
"""A share of the machine's CPU, and a number of rounds."""

CHAIN, HOP = 4, 2
WIRE, WG, DIRECT = "wire", "wg", "direct"
YGG_TCP, YGG_TLS, TINC, BARE, BARE_KERNEL = "ygg-tcp", "ygg-tls", "tinc", "bare", "bare-kernel"
CLAIMS = {
    WIRE: "wire links, session",
    WG: "wg links, session",
    DIRECT: "direct session",
    YGG_TCP: "Yggdrasil, tcp peers",
    YGG_TLS: "Yggdrasil, tls peers",
    TINC: "tinc",
    BARE: "wireguard-go alone, one hop",
    BARE_KERNEL: "the kernel's WireGuard alone, one hop",
}
RATIOS = {
    (WIRE, YGG_TCP): "≥ 1.3 times",
    (WIRE, BARE): "≥ 0.9 times",
    (WG, TINC): "≥ 2 times",
    (WG, YGG_TLS): "",
    (DIRECT, BARE): "≥ 0.93 times",
}
"""Of throughputs."""

KERNEL_CPU_AIM = "≤ 0.5 times"
"""Of CPU seconds for each GB: `wg` links by the kernel's WireGuard against Yggdrasil's tls."""

HOSTS = {YGG_TCP: CHAIN, WIRE: CHAIN, BARE: HOP, DIRECT: HOP, BARE_KERNEL: HOP, YGG_TLS: CHAIN, WG: CHAIN, TINC: CHAIN}
"""Row → hosts, in the order of a round: those that are compared run one after the other."""


@dataclass(frozen=True)
class Lane:
    """One way through the machine, and what was measured on it."""

    row: str
    target: str
    flows: dict[int, list[Flow]] = field(default_factory=lambda: {streams: [] for streams in STREAMS})


def builders() -> dict[str, Callable[[Ground], str]]:
    return {
        WIRE: lambda ground: ours.build_chain(ground, WIRE, ours.WIRE),
        WG: lambda ground: ours.build_chain(ground, WG, ours.WG),
        DIRECT: lambda ground: ours.build_direct(ground, DIRECT),
        YGG_TCP: lambda ground: peers.build_yggdrasil(ground, YGG_TCP, "tcp"),
        YGG_TLS: lambda ground: peers.build_yggdrasil(ground, YGG_TLS, "tls"),
        TINC: lambda ground: peers.build_tinc(ground, TINC),
        BARE: lambda ground: peers.build_wireguard(ground, BARE),
        BARE_KERNEL: lambda ground: peers.build_wireguard(ground, BARE_KERNEL, in_kernel=True),
    }


def bench(rounds: int = ROUNDS, seconds: int = SECONDS, *, newest: bool = True) -> list[Figure]:
    """With the newest wireguard-go. Most of a minute a round; needs root. Where the kernel has WireGuard, ours uses it,
    and its ceiling is added.
    """
    fetch_programs(newest=newest)
    tell(f"load before: {', '.join(f'{load:.2f}' for load in os.getloadavg())}")
    with run_ground(HOSTS) as ground:
        in_kernel = peers.has_kernel_wireguard(ground.row(BARE)[0])
        lanes = build(ground, [row for row in HOSTS if in_kernel or row != BARE_KERNEL])
        ground.stop_agents()
        for number in range(1, rounds + 1):
            run_round(ground, lanes, seconds)
            tell(f"round {number} of {rounds}: {told(lanes)}")
    return [*figures(lanes), *ratios(lanes, in_kernel=in_kernel), others(lanes)]


def build(ground: Ground, rows: list[str]) -> list[Lane]:
    lanes = []
    for row in rows:
        target = builders()[row](ground)
        listen(ground.row(row)[-1])
        lanes.append(Lane(row, target))
    return lanes


def run_round(ground: Ground, lanes: list[Lane], seconds: int) -> None:
    for streams in STREAMS:
        for lane in lanes:
            source = ground.row(lane.row)[0]
            flow = pump(source, lane.target, streams=streams, namespaces=ground.namespaces, seconds=seconds)
            lane.flows[streams].append(flow)


def told(lanes: list[Lane]) -> str:
    return ", ".join(f"{lane.row} {lane.flows[1][-1].mbit_s:.0f}" for lane in lanes) + " Mbit/s"


# figures


def figures(lanes: list[Lane]) -> list[Figure]:
    found = []
    for streams in STREAMS:
        for lane in lanes:
            flows = lane.flows[streams]
            claim = f"{claim_of(lane.row)}, {counted(streams)}"
            best = f"best {max(flow.mbit_s for flow in flows):.0f} Mbit/s"
            found.append(Figure(claim, "", statistics.median(flow.mbit_s for flow in flows), "Mbit/s", best))
            least = f"best {min(flow.cpu_s_per_gb for flow in flows):.1f} s"
            cpu = statistics.median(flow.cpu_s_per_gb for flow in flows)
            found.append(Figure(f"{claim}, CPU for each GB", "", cpu, "s", least))
    return found


def claim_of(row: str) -> str:
    program = {YGG_TCP: "yggdrasil", YGG_TLS: "yggdrasil", TINC: "tincd", BARE: "wireguard-go"}.get(row)
    return f"{CLAIMS[row]} ({version_of(program)})" if program else CLAIMS[row]


def ratios(lanes: list[Lane], *, in_kernel: bool) -> list[Figure]:
    by_row = {lane.row: lane for lane in lanes}
    found = []
    for streams in STREAMS:
        for (row, other), aim in RATIOS.items():
            cpu_aim = KERNEL_CPU_AIM if in_kernel and (row, other) == (WG, YGG_TLS) else ""
            found += ratio(by_row[row], by_row[other], streams, aim, cpu_aim)
    return found


def ratio(lane: Lane, other: Lane, streams: int, aim: str, cpu_aim: str = "") -> list[Figure]:
    """Medians of what each calm round gave; the best of ours against the best of theirs stands beside it."""
    everything = list(zip(lane.flows[streams], other.flows[streams], strict=True))
    pairs = calm(everything)
    middle = statistics.median(mine.mbit_s / theirs.mbit_s for mine, theirs in pairs)
    best = max(mine.mbit_s for mine, _ in everything) / max(theirs.mbit_s for _, theirs in everything)
    cpu = statistics.median(mine.cpu_s_per_gb / theirs.cpu_s_per_gb for mine, theirs in pairs)
    claim = f"{CLAIMS[lane.row]} against {CLAIMS[other.row]}, {counted(streams)}"
    note = f"{len(pairs)} of {len(everything)} rounds; best against best {best:.2f}"
    return [Figure(claim, aim, middle, "times", note), Figure(f"CPU of {claim}", cpu_aim, cpu, "times")]


def calm(pairs: list[tuple[Flow, Flow]]) -> list[tuple[Flow, Flow]]:
    """Those in which others left the machine alone; all, if these are too few to say anything."""
    quiet = [pair for pair in pairs if max(each.use.others for each in pair) <= CALM]
    return quiet if len(quiet) >= LEAST_CALM else pairs


def others(lanes: list[Lane]) -> Figure:
    shares = [flow.use.others for lane in lanes for flows in lane.flows.values() for flow in flows]
    note = f"{min(shares) * 100:.0f} to {max(shares) * 100:.0f} %"
    return Figure("the machine's CPU that others used meanwhile", "", statistics.median(shares) * 100, "%", note)


def counted(streams: int) -> str:
    return "1 stream" if streams == 1 else f"{streams} streams"
