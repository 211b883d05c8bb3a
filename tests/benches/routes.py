"""The route computer alone, on random graphs of 8 links a node: how long two routes take, what the graph weighs.

Every size is a process of its own, for its memory. Peers are asked in turns in the same process where they can be
imported: one plain search of rustworkx and of networkx, which is less than the two routes we give.
"""

import gc
import importlib
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from services.keys import NodeId
from services.manager.routes.find import find_pair
from services.manager.routes.graph import Graph
from services.manager.routes.model import Link
from services.manager.routes.policy import Metric, Policy
from tests.benches.figures import Figure

SIZES = (1_000, 10_000, 100_000)
REQUESTS = 200
PEER_EVERY = 10
LINKS = 8
AIMS_MS = {10_000: "≤ 20 ms", 100_000: "≤ 200 ms"}
DEADLINE_S = 600.0
POLICIES = {
    "latency": Policy(),
    "price": Policy(Metric.PRICE),
    "bandwidth": Policy(Metric.BANDWIDTH),
    "at most 8 hops": Policy(hops_at_most=8),
}
Rows = dict[str, float]


def bench(sizes: tuple[int, ...] = SIZES, requests: int = REQUESTS) -> list[Figure]:
    """p50, p99, memory and time to build of each size; runs for about three minutes."""
    measured = {size: _in_a_process(size, requests) for size in sizes}
    figures = [figure for size, rows in measured.items() for figure in _figures(size, rows)]
    first, last = min(sizes), max(sizes)
    growth = measured[last]["latency p50"] / measured[first]["latency p50"]
    return [*figures, Figure(f"two routes, p50: {last:,} nodes against {first:,}", "", growth, "times")]


def _figures(size: int, rows: Rows) -> list[Figure]:
    beside = ", ".join(f"{name} {value:.0f} ms" for name, value in rows.items() if " one route " in name)
    figures = []
    for name in POLICIES:
        claim, given_up = f"two routes, {size:,} nodes, {name}", rows[f"{name} given up"]
        note = f", {given_up:.0f} of the requests given up" if given_up else ""
        figures.append(Figure(f"{claim}, p50", "", rows[f"{name} p50"], "ms", beside))
        figures.append(Figure(f"{claim}, p99{note}", AIMS_MS.get(size, ""), rows[f"{name} p99"], "ms", beside))
    return [
        *figures,
        Figure(f"memory with {size:,} nodes", "≤ 1000 MB" if size == max(SIZES) else "", rows["memory"], "MB"),
        Figure(f"time to build {size:,} nodes", "", rows["build"], "s"),
        Figure(f"one link changed, {size:,} nodes", "", rows["change"], "µs"),
    ]


def _in_a_process(size: int, requests: int) -> Rows:
    words = [sys.executable, "-m", "tests.benches.routes", str(size), str(requests)]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S)
    rows: Rows = json.loads(done.stdout)
    return rows


def measure(size: int, requests: int) -> Rows:
    dice = random.Random(size)
    begin = time.perf_counter()
    graph, links = build(size, dice)
    rows: Rows = {"build": time.perf_counter() - begin}
    rows["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    changes = dice.sample(links, min(1000, len(links)))
    begin = time.perf_counter()
    for link in changes:
        graph.set_link(Link(link.src, link.dst, link.latency_s * 1.01, link.price, link.bandwidth_bps))
    rows["change"] = (time.perf_counter() - begin) / len(changes) * 1e6
    names = [graph.node_id(slot) for slot in range(size)]
    peers = _peers(links)
    gc.collect()
    gc.freeze()  # as a manager does after loading; the peers' graphs shall not weigh on our searches
    times: dict[str, list[float]] = {}
    for number in range(requests):
        src, dst = dice.sample(names, 2)
        for name, policy in POLICIES.items():
            if policy.hops_at_most and number % PEER_EVERY:  # the slow one, asked as often as the peers
                continue
            rows[f"{name} given up"] = rows.get(f"{name} given up", 0) + _ask(graph, src, dst, policy, times, name)
        if number % PEER_EVERY == 0:
            for name, search in peers.items():
                times.setdefault(name, []).append(_timed(search, src, dst))
    for name, found in times.items():
        rows[f"{name} p50"] = statistics.median(found)
        rows[f"{name} p99"] = sorted(found)[int(len(found) * 0.99)]
    return rows


def _ask(graph: Graph, src: NodeId, dst: NodeId, policy: Policy, times: dict[str, list[float]], name: str) -> bool:
    """Whether the search was given up before it knew the best."""
    begin = time.perf_counter()
    pair = find_pair(graph, src, dst, policy)
    times.setdefault(name, []).append((time.perf_counter() - begin) * 1e3)
    return "stopped" in pair.reason


def _timed(search: Callable[[NodeId, NodeId], Any], src: NodeId, dst: NodeId) -> float:
    begin = time.perf_counter()
    search(src, dst)
    return (time.perf_counter() - begin) * 1e3


def build(size: int, dice: random.Random) -> tuple[Graph, list[Link]]:
    names = [NodeId(blake2b(str(number).encode(), digest_size=32).hexdigest()) for number in range(size)]
    graph, links = Graph(), []
    for name in names:
        graph.add_node(name)
    for name in names:
        for other in dice.sample(names, LINKS // 2):
            if name == other or graph.link(name, other) is not None:
                continue
            for src, dst in ((name, other), (other, name)):
                width = dice.randrange(10**6, 10**9)
                link = Link(src, dst, dice.uniform(0.001, 0.1), dice.choice((0.0, 0.1, 0.5)), width)
                graph.set_link(link)
                links.append(link)
    return graph, links


def _peers(links: list[Link]) -> dict[str, Callable[[NodeId, NodeId], Any]]:
    peers: dict[str, Callable[[NodeId, NodeId], Any]] = {}
    try:
        rustworkx: Any = importlib.import_module("rustworkx")
        web, slots = rustworkx.PyDiGraph(), dict[NodeId, int]()
        for link in links:
            if link.src not in slots:
                slots[link.src] = web.add_node(link.src)
        web.add_edges_from([(slots[link.src], slots[link.dst], link.latency_s) for link in links])
        peers["rustworkx one route"] = lambda src, dst: rustworkx.dijkstra_shortest_paths(
            web, slots[src], target=slots[dst], weight_fn=float
        )
    except ImportError:
        pass
    try:
        networkx: Any = importlib.import_module("networkx")
        net = networkx.DiGraph()
        net.add_weighted_edges_from([(link.src, link.dst, link.latency_s) for link in links])
        peers["networkx one route"] = lambda src, dst: networkx.bidirectional_dijkstra(net, src, dst)
    except ImportError:
        pass
    return peers


if __name__ == "__main__":
    json.dump(measure(int(sys.argv[1]), int(sys.argv[2])), sys.stdout)
