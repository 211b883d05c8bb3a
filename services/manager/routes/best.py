"""The best route and the best pair of a scope under limits: the quick way where its answer keeps them, else the long.

What is best without limits and keeps them is best with them. Bandwidth is a floor under the latency's search, as high
as it can be with an answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

from services.manager.routes import limited, pairs
from services.manager.routes.graph import LATENCY, WIDTH
from services.manager.routes.limited import Budget, Limits
from services.manager.routes.views import Scope

STEPS = 20_000
"""The budget of one search with limits; some 0.2 s on a workstation."""

T = TypeVar("T")


class Two(NamedTuple):
    first: list[int]
    second: list[int]
    proven: bool


def best_route(scope: Scope, limits: Limits, steps: int) -> list[int] | None:
    """Raises TooHardError."""

    def solve(within: Scope) -> list[int] | None:
        path = pairs.cheapest_route(within)
        if path is None or limits.allow(path):
            return path
        return limited.first_route(within, limits, Budget(steps))

    return _widest(scope, solve, pairs.route_width) if scope.key == WIDTH else solve(scope)


def best_pair(scope: Scope, limits: Limits, steps: int, *, split: bool) -> Two | None:
    """Raises TooHardError where it found none and does not know that there is none."""

    def solve(within: Scope) -> Two | None:
        found = pairs.cheapest_pair(within, split=split and not limits.via)
        if found is None:
            return None
        if not limits.via and all(limits.allow(path) for path in found):
            return Two(*found, proven=True)
        pair, proven = limited.best_pair(within, limits, Budget(steps), split=split)
        return None if pair is None else Two(*pair, proven=proven)

    def width(within: Scope) -> int | None:
        return pairs.pair_width(within, split=split and not limits.via)

    return _widest(scope, solve, width) if scope.key == WIDTH else solve(scope)


def _widest(scope: Scope, solve: Callable[[Scope], T | None], width: Callable[[Scope], int | None]) -> T | None:
    """The answer with the highest floor; no answer needs a floor above `width`, which knows no limits."""
    most = width(scope)
    if most is None:
        return None
    quickest = replace(scope, key=LATENCY)
    found = solve(replace(quickest, floor=most))
    if found is not None:
        return found
    steps = scope.graph.steps
    floors = sorted({step[WIDTH] for around in steps for step in around.values() if step[WIDTH] < most})
    answers: dict[int, T] = {}

    def missing(floor: int) -> bool:
        answer = solve(replace(quickest, floor=floor))
        if answer is not None:
            answers[floor] = answer
        return answer is None

    place = bisect_right(floors, False, key=missing)
    return answers[floors[place - 1]] if place else None
