"""Searches from both ends at once: the cheapest way, and how wide the widest is. Pure; they know views alone.

Dijkstra's balls around both ends meet long before either has seen the graph. Both searches give the same answer for
the same graph, built in the same order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from services.manager.routes.views import View


@dataclass(frozen=True, slots=True)
class Found:
    """The states of the cheapest way and its cost; `potential(v) - potential(u)` is at most the weight of a step from
    u to v, and just that on the way.
    """

    states: list[int]
    cost: int
    potential: Callable[[int], int]


class _Side:
    """One end's ball: costs so far, where each was reached from, and what is to be looked at next."""

    def __init__(self, start: int) -> None:
        self.costs = {start: 0}
        self.before: dict[int, int] = {}
        self.heap = [(0, start)]

    def trace(self, state: int) -> list[int]:
        states = [state]
        while states[-1] in self.before:
            states.append(self.before[states[-1]])
        return states


def find_cheapest(view: View, src: int, dst: int) -> Found | None:
    """`src` and `dst` differ; weights are not negative."""
    here, there = _Side(src), _Side(dst)
    best: int | None = None
    meeting = src
    while here.heap and there.heap:
        if best is not None and here.heap[0][0] + there.heap[0][0] >= best:
            break
        forth = len(here.heap) <= len(there.heap)
        side, other = (here, there) if forth else (there, here)
        cost, state = heapq.heappop(side.heap)
        if cost > side.costs[state]:
            continue
        costs, before, heap, met = side.costs, side.before, side.heap, other.costs
        for to, weight in view.ahead(state) if forth else view.back(state):
            total = cost + weight
            if to in costs and costs[to] <= total:
                continue
            costs[to], before[to] = total, state
            heapq.heappush(heap, (total, to))
            if to in met and (best is None or total + met[to] < best):
                best, meeting = total + met[to], to
    if best is None:
        return None
    states = here.trace(meeting)[::-1] + there.trace(meeting)[1:]
    return Found(states, best, _potential(here, there, best))


def _potential(here: _Side, there: _Side, best: int) -> Callable[[int], int]:
    """Distance from the start within one radius, less that to the end within another; they add up to the way's cost,
    so no step's weight is spent in both.
    """
    radius = min(here.heap[0][0], best) if here.heap else best
    behind = best - radius
    near, far = here.costs, there.costs

    def potential(state: int) -> int:
        return min(near.get(state, radius), radius) - min(far.get(state, behind), behind)

    return potential


def find_width(view: View, src: int, dst: int) -> int | None:
    """The width of the widest way, weights being widths. Each side takes in states, widest link first; a way's
    width cannot be over the narrowest link either side had to cross, and the first state that both took in has it.
    """
    sides = [_Side(src), _Side(dst)]
    widths: list[dict[int, int]] = [{}, {}]
    for side, start in zip(sides, (src, dst), strict=True):
        side.heap = [(-UNLIMITED, start)]
    while sides[0].heap and sides[1].heap:
        turn = 0 if len(widths[0]) <= len(widths[1]) else 1
        negative, state = heapq.heappop(sides[turn].heap)
        if state in widths[turn]:
            continue
        widths[turn][state] = -negative
        if state in widths[1 - turn]:
            return min(widths[0][state], widths[1][state])
        for to, width in view.back(state) if turn else view.ahead(state):
            if to not in widths[turn]:
                heapq.heappush(sides[turn].heap, (max(negative, -width), to))
    return None


UNLIMITED = 1 << 62
"""Wider than any link."""
