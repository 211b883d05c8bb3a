"""A route that crosses a border, as its two halves. Pure: a policy is split, what was found is joined.

a ─ x ─ border A ══ border B ─ y ─ b        beside and found: nodes from a to b
└──── ours ────┘    └─── theirs ──┘         each computed by the manager that knows its links
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

from msgspec.structs import replace

from services.keys import NodeId
from services.manager.asks import Path
from services.manager.peering.words import Way
from services.manager.routes.errors import NoRouteError, PolicyError
from services.manager.routes.find import find_pair, find_route, find_standby
from services.manager.routes.graph import Graph
from services.manager.routes.model import LARGEST_MTU, Link
from services.manager.routes.policy import Policy


def find_ways(
    graph: Graph, src: NodeId, dst: NodeId, policy: Policy, count: int, beside: tuple[NodeId, ...] = ()
) -> tuple[tuple[Way, ...], str]:
    """One or two, and why not two apart. Beside a way that stays another one, or the same where there is none. A border
    that is an end itself is a way of one node. Raises RouteError.
    """
    if src == dst:
        return (Way((src,), LARGEST_MTU, 0.0),), ""
    reason = ""
    if beside and len(beside) > 1:
        try:
            found = [find_standby(graph, beside, policy)]
        except NoRouteError as error:
            found, reason = [find_route(graph, src, dst, policy)], str(error)
    elif count == 1:
        found = [find_route(graph, src, dst, policy)]
    else:
        pair = find_pair(graph, src, dst, policy)
        found = [route for route in (pair.route, pair.standby) if route is not None]
        reason = pair.reason
    return tuple(Way(route.nodes, route.mtu, route.latency_s) for route in found), reason


def split_beside(beside: tuple[NodeId, ...], ours: NodeId, theirs: NodeId) -> tuple[tuple[NodeId, ...], ...]:
    """Our half and theirs; both empty where there is none. Raises PolicyError for a route by another border."""
    if not beside:
        return (), ()
    for place, pair in enumerate(pairwise(beside), 1):
        if pair == (ours, theirs):
            return beside[:place], beside[place:]
    raise PolicyError("the route that stays does not cross this border: open the session anew")


def their_policy(policy: Policy, here: Collection[NodeId]) -> Policy:
    """What is left for them: hops are counted once both halves are known."""
    via = tuple(node for node in policy.via if node not in here)
    if via != policy.via[len(policy.via) - len(via) :]:
        raise PolicyError("via names a node here after one beyond the border: a route crosses it once")
    most = policy.hops_at_most
    if most is not None:
        most = max(most - 1, 1, len(via) + 1)
    return replace(policy, hops_at_least=1, hops_at_most=most, via=via)


def narrowed(policy: Policy) -> Policy:
    """By the border alone, from there to the responder in one hop. Raises PolicyError."""
    if policy.via or policy.hops_at_least > 1:
        raise PolicyError("the other cluster relays by its border alone: ask for no via there, and for fewer hops")
    return replace(policy, hops_at_most=1)


def our_policy(policy: Policy, theirs: Policy, ways: Sequence[Way]) -> Policy:
    """What is left for us, once theirs are found. Raises PolicyError."""
    beyond = [len(way.nodes) for way in ways]  # hops there, and the one between the borders
    most = policy.hops_at_most
    if most is not None:
        most -= max(beyond)
        if most < 0:
            raise PolicyError(f"at most {policy.hops_at_most} hops are too few across the border")
        most = max(1, most)
    least = max(1, policy.hops_at_least - min(beyond))
    via = policy.via[: len(policy.via) - len(theirs.via)]
    return replace(policy, hops_at_least=least, hops_at_most=most, via=via)


def check_ways(ways: Sequence[Way], border: NodeId, responder: NodeId, is_ours: Callable[[NodeId], bool]) -> None:
    """What a peer says that it found. Raises NoRouteError."""
    if not ways:
        raise NoRouteError("the other cluster knows no way")
    for way in ways:
        if way.nodes[:1] != (border,) or way.nodes[-1:] != (responder,) or len(set(way.nodes)) < len(way.nodes):
            raise NoRouteError("the other cluster answers with a way between other nodes")
        if any(map(is_ours, way.nodes)):
            raise NoRouteError("the way there leads back here: a route crosses one border, once")
        if not 0 <= way.latency_s < 3600 or not 1280 <= way.mtu <= LARGEST_MTU or len(way.nodes) > 64:
            raise NoRouteError("the other cluster answers with a way that cannot be")


def join(
    routes: Sequence[str],
    ours: Sequence[Way],
    theirs: Sequence[Way],
    link: Link,
    policy: Policy,
    beside: Sequence[NodeId],
) -> tuple[Path, ...]:
    """A path for each route id, as long as they differ. Raises NoRouteError."""
    count = min(len(routes), max(len(ours), len(theirs)))
    paths = []
    for place, route in enumerate(routes[:count]):
        one, other = of_route(ours, place), of_route(theirs, place)
        mtu, latency_s = min(one.mtu, link.mtu, other.mtu), one.latency_s + link.latency_s + other.latency_s
        paths.append(Path(route, (*one.nodes, *other.nodes), mtu, latency_s))
    for path in paths:
        hops = len(path.nodes) - 1
        if hops < policy.hops_at_least or (policy.hops_at_most is not None and hops > policy.hops_at_most):
            raise NoRouteError(f"a route across the border would have {hops} hops: the policy forbids it")
        if beside and path.nodes == tuple(beside):
            raise NoRouteError("there is no second way across the border")
    return tuple(paths)


def of_route(ways: Sequence[Way], place: int) -> Way:
    """The way that the route of that place takes; both sides count alike."""
    return ways[min(place, len(ways) - 1)]
