"""Routes with limits, in the order of their cost: hops at least and at most, nodes to pass in order.

Best first over ways without a repeated node, led by what the rest costs at least (a ball around the next node to pass)
and by how many hops it needs at least (breadth first, exact). Two routes with limits are a hard problem in general:
every look costs a step of a budget, and who runs out of it is told so. Steps, not time, so that answers repeat.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.manager.routes.errors import TooHardError
from services.manager.routes.graph import Graph
from services.manager.routes.search import find_cheapest
from services.manager.routes.views import Plain, Scope, both_ways

BALL_NODES = 4000


@dataclass(frozen=True, slots=True)
class Limits:
    """`most` None: as many hops as it takes. `via` are slots."""

    least: int = 1
    most: int | None = None
    via: tuple[int, ...] = ()

    def allow(self, path: list[int]) -> bool:
        hops = len(path) - 1
        return hops >= self.least and (self.most is None or hops <= self.most) and self._passes(path)

    def _passes(self, path: list[int]) -> bool:
        rest = iter(path[1:-1])
        return all(slot in rest for slot in self.via)


class Budget:
    """Raises TooHardError when it is spent."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._left = steps

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooHardError(f"the search was stopped after {self.steps} steps")


Layers = list[dict[int, int]]
"""For every leg: slot → fewest hops to the leg's end. Empty without a limit."""


def routes(
    scope: Scope, limits: Limits, budget: Budget, layers: Layers | None = None, *, all_of_them: bool = True
) -> Iterator[list[int]]:
    """Cheapest first. With `all_of_them` false only the first counts, and it comes in a number of steps that grows
    with nodes times hops where no more than `most` limits it.
    """
    bounds = _Bounds(scope, limits, _layers(scope, limits) if layers is None else layers)
    view, via, last = Plain(scope), limits.via, len(limits.via)
    layered = not (all_of_them or via or limits.least > 1)
    fewest: dict[int, int] = {}
    heap: list[tuple[int, tuple[int, ...], int, int]] = [(0, (scope.src,), 0, 0)]
    while heap:
        _, path, cost, stage = heapq.heappop(heap)
        slot, hops = path[-1], len(path)
        if slot == scope.dst:
            yield list(path)
            continue
        budget.spend()
        if layered and fewest.get(slot, math.inf) <= hops:
            continue
        fewest[slot] = hops
        for other, weight in view.ahead(slot):
            if other in path or (other == scope.dst and (stage < last or hops < limits.least)):
                continue
            after = stage + (stage < last and other == via[stage])
            if after == stage and other in via:
                continue
            rest = bounds.rest(after, other, hops)
            if rest is not None:
                heapq.heappush(heap, (cost + weight + rest, (*path, other), cost + weight, after))


def first_route(scope: Scope, limits: Limits, budget: Budget, layers: Layers | None = None) -> list[int] | None:
    return next(routes(scope, limits, budget, layers, all_of_them=False), None)


def best_pair(
    scope: Scope, limits: Limits, budget: Budget, *, split: bool
) -> tuple[tuple[list[int], list[int]] | None, bool]:
    """The cheapest two routes apart, and whether that is proven. The nodes in via are on both.

    Goes through the routes as the cheaper of two: once two of a route cost more than the best pair, that is the best.
    """
    best: tuple[list[int], list[int]] | None = None
    cost, layers = 0, _layers(scope, limits)
    try:
        for path in routes(scope, limits, budget, layers):
            own = scope.cost(path)
            if best is not None and 2 * own >= cost:
                return best, True
            partner = first_route(without(scope, path, limits.via, split=split), limits, budget, layers)
            if partner is not None and (best is None or own + scope.cost(partner) < cost):
                best, cost = (path, partner), own + scope.cost(partner)
    except TooHardError:
        if best is None:
            raise
        return best, False
    return best, True


def without(scope: Scope, path: list[int], via: tuple[int, ...], *, split: bool) -> Scope:
    """The scope without a route's links, and where `split` without its relays, but for those in via."""
    relays = frozenset(path[1:-1]).difference(via) if split else frozenset[int]()
    return replace(scope, closed=scope.closed | relays, cut=scope.cut | both_ways(path))


class _Bounds:
    """What is missing at least from a slot to the end, leg by leg; each leg ends at a node to pass."""

    def __init__(self, scope: Scope, limits: Limits, layers: Layers) -> None:
        self._most = math.inf if limits.most is None else limits.most
        self._layers = layers
        ends = (*limits.via, scope.dst)
        view = Plain(scope)
        self._balls = [_Ball(view, end, scope.src) for end in ends]
        self._costs: list[float] = [0]
        self._hops: list[float] = [0]
        for number in range(len(ends) - 1, 0, -1):
            leg = find_cheapest(view, ends[number - 1], ends[number])
            self._costs.insert(0, self._costs[0] + (math.inf if leg is None else leg.cost))
            hops = layers[number].get(ends[number - 1], math.inf) if layers else 1
            self._hops.insert(0, self._hops[0] + hops)

    def rest(self, stage: int, slot: int, hops: int) -> int | None:
        """Of the cost; None where the end is out of reach from there, `hops` having been made."""
        if self._layers and hops + self._layers[stage].get(slot, math.inf) + self._hops[stage] > self._most:
            return None
        radius, costs = self._balls[stage].radius, self._balls[stage].costs
        cost = costs.get(slot, radius)
        rest = min(cost, radius) + self._costs[stage]
        return rest if isinstance(rest, int) else None


class _Ball:
    """Costs to one slot, exact within the radius and at least that outside."""

    def __init__(self, view: Plain, end: int, start: int) -> None:
        self.costs: dict[int, int] = {end: 0}
        self.radius: float = math.inf
        heap, seen = [(0, end)], 0
        while heap:
            cost, slot = heapq.heappop(heap)
            if slot == start or seen == BALL_NODES:
                self.radius = cost
                return
            if cost > self.costs[slot]:
                continue
            seen += 1
            for other, weight in view.back(slot):
                if other not in self.costs or cost + weight < self.costs[other]:
                    self.costs[other] = cost + weight
                    heapq.heappush(heap, (cost + weight, other))


def _layers(scope: Scope, limits: Limits) -> Layers:
    if limits.most is None:
        return []
    return [_hops_to(scope.graph, end, limits.most - 1) for end in (*limits.via, scope.dst)]


def _hops_to(graph: Graph, end: int, most: int) -> dict[int, int]:
    """Fewest hops to a slot, up to `most`, whatever the scope closes."""
    hops, layer, seen = {end: 0}, {end}, {end}
    for number in range(1, most + 1):
        layer = set[int]().union(*(graph.steps[slot].keys() for slot in layer)) - seen
        if not layer:
            break
        seen |= layer
        hops.update(dict.fromkeys(layer, number))
    return hops
