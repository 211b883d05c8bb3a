"""A route in two halves: what of a policy is for whom, what of an answer is believed, and what comes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.keys import Identity, NodeId, new_seed
from services.manager.peering import halves
from services.manager.peering.words import Way
from services.manager.routes.errors import NoRouteError, PolicyError, RouteError
from services.manager.routes.graph import Graph
from services.manager.routes.model import LARGEST_MTU, Link
from services.manager.routes.policy import Policy

A, X, Y, OURS, THEIRS, Z, B = (Identity(new_seed()).node_id for _ in range(7))
BETWEEN = Link(OURS, THEIRS, 0.005, mtu=1400)
FAR = (Way((THEIRS, Z, B), 1380, 0.002),)
NEAR = (Way((A, X, OURS), 1420, 0.001), Way((A, Y, OURS), 1300, 0.003))


def graph() -> Graph:
    """A to our border, over X (better) or Y."""
    made = Graph()
    for node in (A, X, Y, OURS):
        made.add_node(node, relays=node in {X, Y})
    for one, other, latency_s in ((A, X, 0.001), (X, OURS, 0.001), (A, Y, 0.002), (Y, OURS, 0.002)):
        made.set_link(Link(one, other, latency_s))
        made.set_link(Link(other, one, latency_s))
    return made


def test_two_ways_and_the_better_first() -> None:
    ways, reason = halves.find_ways(graph(), A, OURS, Policy(), 2)
    assert [way.nodes for way in ways] == [(A, X, OURS), (A, Y, OURS)]
    assert not reason


def test_a_border_is_a_way_of_one_node() -> None:
    assert halves.find_ways(graph(), OURS, OURS, Policy(), 2) == ((Way((OURS,), LARGEST_MTU, 0.0),), "")


def test_beside_a_way_another_one_else_the_same() -> None:
    ways, _ = halves.find_ways(graph(), A, OURS, Policy(), 1, (A, X, OURS))
    assert ways[0].nodes == (A, Y, OURS)
    alone = graph()
    alone.remove_node(Y)
    ways, reason = halves.find_ways(alone, A, OURS, Policy(), 1, (A, X, OURS))
    assert ways[0].nodes == (A, X, OURS)
    assert "no second route" in reason


def test_joined() -> None:
    paths = halves.join(("r1", "r2"), NEAR, FAR, BETWEEN, Policy(), ())
    assert [path.nodes for path in paths] == [(A, X, OURS, THEIRS, Z, B), (A, Y, OURS, THEIRS, Z, B)]
    assert [path.mtu for path in paths] == [1380, 1300]
    assert paths[0].latency_s == pytest.approx(0.008)
    assert len(halves.join(("r1", "r2"), NEAR[:1], FAR, BETWEEN, Policy(), ())) == 1, "the same twice is none"


def test_the_very_way_that_stays_is_no_second_one() -> None:
    with pytest.raises(NoRouteError, match="no second way"):
        halves.join(("r1",), NEAR[:1], FAR, BETWEEN, Policy(), (A, X, OURS, THEIRS, Z, B))


def test_beside_is_split_at_the_border() -> None:
    assert halves.split_beside((A, X, OURS, THEIRS, B), OURS, THEIRS) == ((A, X, OURS), (THEIRS, B))
    assert halves.split_beside((), OURS, THEIRS) == ((), ())
    with pytest.raises(PolicyError, match="does not cross this border"):
        halves.split_beside((A, X, B), OURS, THEIRS)


def test_hops_are_counted_over_both_halves() -> None:
    policy = Policy(hops_at_least=6, hops_at_most=6)
    theirs = halves.their_policy(policy, {A, X, Y, OURS})
    assert (theirs.hops_at_least, theirs.hops_at_most) == (1, 5)
    ours = halves.our_policy(policy, theirs, FAR)
    assert (ours.hops_at_least, ours.hops_at_most) == (3, 3)
    with pytest.raises(NoRouteError, match="5 hops: the policy forbids"):
        halves.join(("r1",), NEAR, FAR, BETWEEN, policy, ())
    tight = Policy(hops_at_most=2)
    theirs = halves.their_policy(tight, ())
    with pytest.raises(PolicyError, match="at most 2 hops are too few"):
        halves.our_policy(tight, theirs, FAR)


def test_via_is_ours_then_theirs() -> None:
    policy = Policy(via=(X, Z))
    theirs = halves.their_policy(policy, {A, X, Y, OURS})
    assert theirs.via == (Z,)
    assert halves.our_policy(policy, theirs, FAR).via == (X,)
    with pytest.raises(PolicyError, match="crosses it once"):
        halves.their_policy(Policy(via=(Z, X)), {A, X, Y, OURS})


def test_by_the_border_alone() -> None:
    assert halves.narrowed(Policy()).hops_at_most == 1
    with pytest.raises(PolicyError, match="by its border alone"):
        halves.narrowed(Policy(via=(Z,)))


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (Way((Z, B), 1420, 0.0), "between other nodes"),
        (Way((THEIRS, Z), 1420, 0.0), "between other nodes"),
        (Way((THEIRS, Z, Z, B), 1420, 0.0), "between other nodes"),
        (Way((), 1420, 0.0), "between other nodes"),
        (Way((THEIRS, X, B), 1420, 0.0), "leads back here"),
        (Way((THEIRS, B), 1279, 0.0), "cannot be"),
        (Way((THEIRS, B), 1420, -1.0), "cannot be"),
        (Way((THEIRS, B), 1420, float("nan")), "cannot be"),
        (Way((THEIRS, *(Identity(new_seed()).node_id for _ in range(63)), B), 1420, 0.0), "cannot be"),
    ],
)
def test_what_a_peer_may_not_answer(way: Way, why: str) -> None:
    with pytest.raises(NoRouteError, match=why):
        halves.check_ways((way,), THEIRS, B, lambda node: node in {A, X, Y, OURS})


def test_a_peer_that_knows_nothing() -> None:
    with pytest.raises(NoRouteError, match="knows no way"):
        halves.check_ways((), THEIRS, B, lambda _: False)


nodes = st.lists(st.sampled_from([A, X, Y, OURS, THEIRS, Z, B]), unique=True, max_size=4)


@given(nodes, st.integers(1, 32), st.none() | st.integers(1, 32))
def test_fuzz_policies(via: list[NodeId], least: int, most: int | None) -> None:
    """Either it is refused with a reason, or both halves' policies are sound."""
    try:
        policy = Policy(via=tuple(via), hops_at_least=least, hops_at_most=most)
        theirs = halves.their_policy(policy, {A, X, Y, OURS})
        ours = halves.our_policy(policy, theirs, FAR)
    except RouteError:
        return
    assert (*ours.via, *theirs.via) == policy.via
