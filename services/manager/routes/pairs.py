"""One route or two within a scope, without limits on hops: exact, and quick at any size.

Two routes are a flow of two: the cheapest way, then the cheapest way in what it leaves (Suurballe). The cheapest way
alone plus another beside it may cost more, or not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from services.manager.routes.graph import WIDTH
from services.manager.routes.search import UNLIMITED, Found, find_cheapest, find_width
from services.manager.routes.views import Plain, Residual, Scope


def cheapest_route(scope: Scope) -> list[int] | None:
    found = find_cheapest(Plain(scope), scope.src, scope.dst)
    return None if found is None else found.states


def cheapest_pair(scope: Scope, *, split: bool) -> tuple[list[int], list[int]] | None:
    """Two routes without a common link, and where `split` without a common relay, of least total cost."""
    plain = Plain(scope)
    first = find_cheapest(plain, scope.src, scope.dst)
    if first is None:
        return None
    residual = Residual(plain, first.states, split=split, weigh=_reduced(first), free=0)
    second = find_cheapest(residual, scope.src, scope.dst)
    return None if second is None else residual.follow(second.states)


def _reduced(found: Found) -> Callable[[int, int, int], int]:
    potential = found.potential
    return lambda u, v, weight: weight + potential(u) - potential(v)


def route_width(scope: Scope) -> int | None:
    """How wide the widest route is."""
    return find_width(Plain(replace(scope, key=WIDTH)), scope.src, scope.dst)


def pair_width(scope: Scope, *, split: bool) -> int | None:
    """How wide the narrower of two routes apart can be."""
    first = route_width(scope)
    path = None if first is None else cheapest_route(replace(scope, floor=first))
    if first is None or path is None:
        return None
    plain = Plain(replace(scope, key=WIDTH))
    residual = Residual(plain, path, split=split, weigh=lambda _u, _v, width: width, free=UNLIMITED)
    second = find_width(residual, scope.src, scope.dst)
    return None if second is None else min(first, second)
