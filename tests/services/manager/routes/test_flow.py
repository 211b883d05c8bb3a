"""Two routes against the plainest flow there is (Bellman and Ford, twice, on split nodes), on graphs of forty nodes
and few links, where the cheapest route is often not one of the best two.
"""

import random
from itertools import pairwise

import pytest

from services.manager.routes.errors import NoRouteError
from services.manager.routes.find import find_pair, find_route
from services.manager.routes.model import Apart, Link, Route
from tests.services.manager.routes.graphs import join, make_graph, node

SIZE = 40
Arc = tuple[int, int]


def sparse_links(seed: int) -> dict[Arc, int]:
    dice = random.Random(seed)
    arcs: dict[Arc, int] = {}
    for one in range(SIZE):
        for other in {(one + 1) % SIZE, (one + dice.randrange(2, 5)) % SIZE}:
            arcs[one, other], arcs[other, one] = dice.randint(1, 60), dice.randint(1, 60)
    return arcs


def flow_cost(arcs: dict[Arc, int], src: int, dst: int, *, split: bool) -> int | None:
    """The least cost of two units from src to dst."""
    left = {(2 * u + 1 if split else 2 * u, 2 * v): cost for (u, v), cost in arcs.items()}
    if split:
        left |= {(2 * u, 2 * u + 1): 0 for u in range(SIZE)}
    total = 0
    for _ in range(2):
        start, end = (2 * src + 1 if split else 2 * src), 2 * dst
        costs, before = {start: 0}, dict[int, int]()
        for _round in range(2 * SIZE):
            for (u, v), cost in left.items():
                if u in costs and costs[u] + cost < costs.get(v, 1 << 30):
                    costs[v], before[v] = costs[u] + cost, u
        if end not in costs:
            return None
        total += costs[end]
        while end != start:
            arc = (before[end], end)
            cost = left.pop(arc)
            left[arc[::-1]] = -cost
            end = before[end]
    return total


def milliseconds(route: Route) -> int:
    return round(route.latency_s * 1000)


@pytest.mark.parametrize("seed", range(60))
def test_two_routes_cost_what_the_flow_costs(seed: int) -> None:
    arcs = sparse_links(seed)
    graph = make_graph([Link(node(u), node(v), ms / 1000) for (u, v), ms in arcs.items()], size=SIZE)
    src, dst = random.Random(seed).sample(range(SIZE), 2)
    pair = find_pair(graph, node(src), node(dst))
    assert pair.standby is not None
    assert pair.apart == Apart.NODES
    assert milliseconds(pair.route) + milliseconds(pair.standby) == flow_cost(arcs, src, dst, split=True)
    assert not set(pair.route.nodes[1:-1]) & set(pair.standby.nodes[1:-1])
    single = find_route(graph, node(src), node(dst))
    for cut in pairwise(single.nodes):
        graph.remove_link(*cut)
        try:
            assert milliseconds(find_route(graph, node(src), node(dst))) >= milliseconds(single)
        except NoRouteError:
            continue


TRAP = ((0, 2, 1), (2, 3, 1), (3, 1, 1), (0, 3, 5), (2, 1, 5))
"""The cheapest route 0-2-3-1 takes both relays, and leaves no second one."""


def test_the_cheapest_route_is_not_always_one_of_two() -> None:
    graph = join(*TRAP)
    assert find_route(graph, node(0), node(1)).nodes == (node(0), node(2), node(3), node(1))
    pair = find_pair(graph, node(0), node(1))
    assert pair.standby is not None
    assert {pair.route.nodes, pair.standby.nodes} == {
        (node(0), node(2), node(1)),
        (node(0), node(3), node(1)),
    }


def test_a_shared_node_is_named() -> None:
    pair = find_pair(join((0, 2, 1), (2, 1, 1), (0, 3, 1), (3, 2, 1), (2, 4, 1), (4, 1, 1)), node(0), node(1))
    assert pair.apart == Apart.LINKS
    assert pair.reason.endswith(f"these share '{node(2)}'")


def test_one_route_comes_with_a_reason() -> None:
    pair = find_pair(join((0, 2, 1), (2, 1, 1)), node(0), node(1))
    assert (pair.apart, pair.standby) == (Apart.NONE, None)
    assert pair.reason == f"no two routes apart in nodes from '{node(0)}' to '{node(1)}' meet the policy"
