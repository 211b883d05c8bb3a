"""Why there is no route: the request is asked again with one wish taken back after the other, and the wish whose
absence helps is named with its value.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from services.manager.routes.graph import HOPS, LATENCY
from services.manager.routes.limited import Limits
from services.manager.routes.pairs import cheapest_route
from services.manager.routes.policy import Policy
from services.manager.routes.views import Scope


def blame(scope: Scope, limits: Limits, policy: Policy) -> str:
    """The sentence to show, for a scope and limits that have no route."""
    graph = scope.graph
    src, dst = graph.node_id(scope.src), graph.node_id(scope.dst)
    start = f"no route from '{src}' to '{dst}'"
    open_scope = replace(scope, key=LATENCY, closed=frozenset(), cut=frozenset())
    for end in (scope.src, scope.dst):
        if not graph.steps[end]:
            return f"{start}: '{graph.node_id(end)}' has no link that is up on both sides"
    if cheapest_route(open_scope) is None:
        return f"{start}: no chain of links that are up and nodes that relay joins them"
    if cheapest_route(replace(scope, key=LATENCY)) is None:
        return f"{start}{_closed(scope, open_scope, policy)}"
    return f"{start}{_limited(scope, limits)}"


def _closed(scope: Scope, open_scope: Scope, policy: Policy) -> str:
    graph = scope.graph
    excluded = frozenset(graph.slot(node) for node in policy.exclude if node in graph)
    path = cheapest_route(replace(scope, key=LATENCY, closed=scope.closed - excluded))
    if path is not None:
        names = ", ".join(f"'{graph.node_id(slot)}'" for slot in path if slot in excluded)
        return f" without the excluded nodes: the best one passes {names}"
    if cheapest_route(replace(open_scope, closed=excluded)) is not None:
        return " that is disjoint from the given routes: they hold every way"
    return " without the excluded nodes and disjoint from the given routes"


def _limited(scope: Scope, limits: Limits) -> str:
    graph = scope.graph
    stops = (scope.src, *limits.via, scope.dst)
    for one, other in pairwise(stops):
        if cheapest_route(replace(scope, key=LATENCY, src=one, dst=other)) is None:
            return f" through via: none from '{graph.node_id(one)}' to '{graph.node_id(other)}'"
    shortest = cheapest_route(replace(scope, key=HOPS))
    if limits.most is not None and shortest is not None and len(shortest) - 1 > limits.most:
        return f" within {limits.most} hops (the shortest has {len(shortest) - 1})"
    wishes = [
        f"passes {', '.join(repr(str(graph.node_id(slot))) for slot in limits.via)}" if limits.via else "",
        f"has at least {limits.least} hops" if limits.least > 1 else "",
        f"has at most {limits.most} hops" if limits.most is not None else "",
    ]
    return f" that passes no node twice {' and '.join(wish for wish in wishes if wish)}"
