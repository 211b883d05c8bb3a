"""What the manager asks: two routes for a pair of nodes, one route, or a second one beside a route that is in use.

A route computer answers or raises NoRouteError with what stood in the way; it changes nothing. A pair is apart in
nodes where the graph and the policy allow it, else in links, else it is one route and a reason.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from services.keys import NodeId
from services.manager.routes.best import STEPS, Two, best_pair, best_route
from services.manager.routes.blame import blame
from services.manager.routes.errors import NoRouteError, PolicyError, TooHardError
from services.manager.routes.graph import LATENCY, PRICE, WIDTH, Graph
from services.manager.routes.limited import Limits
from services.manager.routes.model import Apart, Pair, Route
from services.manager.routes.policy import Metric, Policy
from services.manager.routes.views import Scope, both_ways

_KEYS = {None: LATENCY, Metric.LATENCY: LATENCY, Metric.PRICE: PRICE, Metric.BANDWIDTH: WIDTH}
_ANY = Policy()


def find_pair(graph: Graph, src: NodeId, dst: NodeId, policy: Policy = _ANY, steps: int = STEPS) -> Pair:
    """Raises UnknownNodeError, PolicyError, NoRouteError, TooHardError."""
    scope, limits = _prepare(graph, src, dst, policy)
    reason = ""
    for apart, split in ((Apart.NODES, True), (Apart.LINKS, False)):
        try:
            two = best_pair(scope, limits, steps, split=split)
        except TooHardError as error:
            reason = reason or f"{error}: routes apart in {apart} may exist"
            continue
        if two is not None:
            return _pair(scope, two, apart, reason + _shared(scope, two, limits), steps)
        reason = reason or f"no two routes apart in {apart} from '{src}' to '{dst}' meet the policy"
    route = _one(scope, limits, policy, steps)
    return Pair(graph.describe(route), None, Apart.NONE, graph.revision, reason)


def find_route(graph: Graph, src: NodeId, dst: NodeId, policy: Policy = _ANY, steps: int = STEPS) -> Route:
    """Raises as `find_pair`."""
    scope, limits = _prepare(graph, src, dst, policy)
    return graph.describe(_one(scope, limits, policy, steps))


def find_standby(graph: Graph, route: tuple[NodeId, ...], policy: Policy = _ANY, steps: int = STEPS) -> Route:
    """The best route that shares no node with a live one between the same ends, else no link. Nodes of the live one
    that are no longer in the graph do not matter. Raises as `find_pair`.
    """
    scope, limits = _prepare(graph, route[0], route[-1], policy)
    path = [graph.slot(node) if node in graph else None for node in route]
    joined = [(u, v) for u, v in pairwise(path) if u is not None and v is not None]
    apart = replace(scope, cut=scope.cut | {*joined, *((v, u) for u, v in joined)})
    relays = {slot for slot in path[1:-1] if slot is not None}.difference(limits.via)
    try:
        found = best_route(replace(apart, closed=apart.closed | relays), limits, steps)
    except TooHardError:
        found = None
    found = found or best_route(apart, limits, steps)
    if found is None:
        raise NoRouteError(f"no second route from '{route[0]}' to '{route[-1]}' avoids the links of the first")
    return graph.describe(found)


def _prepare(graph: Graph, src: NodeId, dst: NodeId, policy: Policy) -> tuple[Scope, Limits]:
    if src == dst:
        raise PolicyError(f"a route joins two nodes, not '{src}' with itself")
    for end in (src, dst):
        if end in policy.exclude or end in policy.via:
            where = "excluded" if end in policy.exclude else "in via"
            raise PolicyError(f"'{end}' is an end of the route and {where}: take it out of the policy")
    closed = {graph.slot(node) for node in policy.exclude if node in graph}
    cut: set[tuple[int, int]] = set()
    for route in policy.disjoint_from:
        known = [graph.slot(node) for node in route if node in graph]
        closed.update(graph.slot(node) for node in route[1:-1] if node in graph)
        cut.update(both_ways(known))
    ends = graph.slot(src), graph.slot(dst)
    via = tuple(graph.slot(node) for node in policy.via)
    for slot in via:
        if slot in graph.silent:
            raise NoRouteError(f"via '{graph.node_id(slot)}' does not relay for others: leave it out of via")
    scope = Scope(graph, *ends, _KEYS[policy.metric], 0, frozenset(closed.difference(ends)), frozenset(cut))
    return scope, Limits(policy.hops_at_least, policy.hops_at_most, via)


def _one(scope: Scope, limits: Limits, policy: Policy, steps: int) -> list[int]:
    found = best_route(scope, limits, steps)
    if found is None:
        raise NoRouteError(blame(scope, limits, policy))
    return found


def _shared(scope: Scope, two: Two, limits: Limits) -> str:
    shared = sorted(set(two.first[1:-1]).intersection(two.second).difference(limits.via))
    names = ", ".join(f"'{scope.graph.node_id(slot)}'" for slot in shared)
    return f": these share {names}" if shared else ""


def _pair(scope: Scope, two: Two, apart: Apart, reason: str, steps: int) -> Pair:
    """The better of the two first: the wider, where that is asked for; the cheaper; the one with fewer hops."""
    graph = scope.graph
    key = LATENCY if scope.key == WIDTH else scope.key

    def rank(path: list[int]) -> tuple[int, int, int, list[int]]:
        route = graph.describe(path)
        narrowest = -route.bandwidth_bps if scope.key == WIDTH else 0
        return narrowest, replace(scope, key=key).cost(path), len(path), path

    first, second = sorted((two.first, two.second), key=rank)
    if not two.proven:
        reason = reason or f"the search was stopped after {steps} steps: a better pair may exist"
    return Pair(graph.describe(first), graph.describe(second), apart, graph.revision, reason)
