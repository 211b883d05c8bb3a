"""What a search walks on: states, and the weighted steps ahead from one and back from one.

`Scope` is a request without its limits, in slots. `Plain` walks the graph within it. `Residual` walks what is left
when a first route holds its links: the way of Suurballe and Bhandari to two routes of least total cost. In it a relay
of the first route is two states, `slot` where packets arrive and `~slot` where they leave, if the routes shall share
no node; else one. Potentials make its costs non-negative, with those of taking a link of the first route back at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from services.manager.routes.graph import BACK, HOPS, WIDTH, Graph

Arrows = list[tuple[int, int]]
"""(next state, weight)"""


class View(Protocol):
    def ahead(self, state: int) -> Arrows: ...

    def back(self, state: int) -> Arrows: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """`key` says which number of a step is its weight; links narrower than `floor` are not there. `closed` are
    slots, `cut` links in both orders that may not be used.
    """

    graph: Graph
    src: int
    dst: int
    key: int
    floor: int = 0
    closed: frozenset[int] = frozenset()
    cut: frozenset[tuple[int, int]] = frozenset()

    def cost(self, path: list[int]) -> int:
        return sum(self.graph.steps[u][v][self.key] for u, v in links_of(path))


def links_of(path: list[int]) -> list[tuple[int, int]]:
    return list(pairwise(path))


def both_ways(path: list[int]) -> frozenset[tuple[int, int]]:
    return frozenset(links_of(path) + links_of(path[::-1]))


class Plain:
    """The graph within a scope. Silent nodes are ends only."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._steps = scope.graph.steps
        self._keys = (scope.key, scope.key if scope.key == HOPS else scope.key + BACK)
        self._open = not (scope.graph.silent or scope.closed or scope.cut or scope.floor)

    def ahead(self, state: int) -> Arrows:
        key = self._keys[0]
        if self._open:
            return [(other, step[key]) for other, step in self._steps[state].items()]
        return self._filtered(state, key, WIDTH, self._scope.dst)

    def back(self, state: int) -> Arrows:
        key = self._keys[1]
        if self._open:
            return [(other, step[key]) for other, step in self._steps[state].items()]
        return self._filtered(state, key, WIDTH + BACK, self._scope.src)

    def _filtered(self, state: int, key: int, width: int, goal: int) -> Arrows:
        scope = self._scope
        silent, closed, cut, floor = scope.graph.silent, scope.closed, scope.cut, scope.floor
        return [
            (other, step[key])
            for other, step in self._steps[state].items()
            if step[width] >= floor
            and other not in closed
            and (other not in silent or other == goal)
            and (not cut or (state, other) not in cut)
        ]


class Residual:
    """`weigh(u, v, weight)` gives the weight of a step from u to v here; `free` that of taking back."""

    def __init__(
        self, plain: Plain, path: list[int], *, split: bool, weigh: Callable[[int, int, int], int], free: int
    ) -> None:
        self._plain = plain
        self._path = path
        self._place = {slot: place for place, slot in enumerate(path)}
        self._split = split
        self._weigh = weigh
        self._free = free

    def ahead(self, state: int) -> Arrows:
        slot = node_of(state)
        place = self._place.get(slot)
        held = () if place is None else self._beside(place)
        if place is None or place == 0 or not self._split:
            arrows = self._leaving(slot, held)
            return [*arrows, (self._path[place - 1], self._free)] if place else arrows
        if state >= 0:
            return [(self._leaves(self._path[place - 1]), self._free)]
        return [*self._leaving(slot, held), (slot, self._free)]

    def back(self, state: int) -> Arrows:
        slot = node_of(state)
        place = self._place.get(slot)
        last = len(self._path) - 1
        held = () if place is None else self._beside(place)
        if place is None or place == last or not self._split:
            arrows = self._arriving(slot, held)
            inner = place is not None and place < last - 1
            return [*arrows, (self._path[place + 1], self._free)] if inner and place is not None else arrows
        if state >= 0 and place > 0:
            return [*self._arriving(slot, held), (~slot, self._free)]
        return [(self._path[place + 1], self._free)] if place < last - 1 else []

    def _beside(self, place: int) -> tuple[int, ...]:
        return tuple(self._path[near] for near in (place - 1, place + 1) if 0 <= near < len(self._path))

    def _leaving(self, slot: int, held: tuple[int, ...]) -> Arrows:
        weigh = self._weigh
        return [(other, weigh(slot, other, w)) for other, w in self._plain.ahead(slot) if other not in held]

    def _arriving(self, slot: int, held: tuple[int, ...]) -> Arrows:
        weigh, leaves = self._weigh, self._leaves
        return [(leaves(other), weigh(other, slot, w)) for other, w in self._plain.back(slot) if other not in held]

    def _leaves(self, slot: int) -> int:
        """The state in which packets leave that slot."""
        place = self._place.get(slot, 0)
        return ~slot if self._split and 0 < place < len(self._path) - 1 else slot

    def follow(self, states: list[int]) -> tuple[list[int], list[int]]:
        """The two routes: what the first holds, less what `states` takes back, plus what it adds."""
        links = set(links_of(self._path))
        for one, other in links_of(states):
            u, v = node_of(one), node_of(other)
            if (v, u) in links:
                links.remove((v, u))
            elif u != v:
                links.add((u, v))
        return _walk(links, self._path), _walk(links, self._path)


def node_of(state: int) -> int:
    return state if state >= 0 else ~state


def _walk(links: set[tuple[int, int]], ends: list[int]) -> list[int]:
    """Takes one way from end to end out of the links; the lowest slots first, so that it is the same every time."""
    path = [ends[0]]
    while path[-1] != ends[-1]:
        step = min(link for link in links if link[0] == path[-1])
        links.remove(step)
        path.append(step[1])
    return path
