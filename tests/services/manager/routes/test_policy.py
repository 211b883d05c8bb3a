"""A policy that contradicts itself is refused; two of them become the strictest, or a conflict with a name."""

import msgspec
import pytest
from hypothesis import given, settings

from services.manager.routes.errors import PolicyError, RouteError
from services.manager.routes.find import find_route
from services.manager.routes.policy import Metric, Policy, combine
from tests.services.manager.routes.graphs import Case, cases, node

A, B, C, D = (node(number) for number in range(4))


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"hops_at_least": 0}, "hops_at_least '0' is not from 1 to 32"),
        ({"hops_at_least": 5, "hops_at_most": 4}, "at least 5 hops and at most 4 exclude each other"),
        ({"via": [A, A]}, f"via names '{A}' twice"),
        ({"via": [A], "exclude": [A]}, f"'{A}' is both in via and excluded"),
        ({"via": [A, B], "hops_at_most": 2}, "2 nodes in via need 3 hops"),
        ({"via": [C], "disjoint_from": [[A, C, B]]}, f"via '{C}' is a relay of a route to be disjoint from"),
    ],
)
def test_contradictions_are_refused_from_the_wire(wishes: dict[str, object], told: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode(wishes), type=Policy)
    assert told in str(caught.value)


def test_the_strictest_wins() -> None:
    one = Policy(Metric.PRICE, 2, 6, via=(A, C), exclude=frozenset({B}))
    other = Policy(None, 3, 9, via=(A, D, C), exclude=frozenset({node(7)}))
    assert combine(one, other) == Policy(Metric.PRICE, 3, 6, (A, D, C), frozenset({B, node(7)}))
    assert not combine(one, other).permits_direct


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (Policy(Metric.PRICE), Policy(Metric.LATENCY), "metric 'latency' and metric 'price'"),
        (Policy(hops_at_least=5), Policy(hops_at_most=4), "at least 5 hops and at most 4"),
        (Policy(via=(A, B)), Policy(via=(B, A)), "two lists of via nodes"),
        (Policy(via=(A,)), Policy(exclude=frozenset({A})), f"'{A}' is both in via and excluded"),
    ],
)
def test_a_conflict_is_named_whoever_comes_first(one: Policy, other: Policy, told: str) -> None:
    for pair in ((one, other), (other, one)):
        with pytest.raises(PolicyError, match=told):
            combine(*pair)


@settings(max_examples=40)
@given(cases(most_nodes=5), cases(most_nodes=5))
def test_what_meets_both_meets_each(case: Case, other: Case) -> None:
    try:
        both = combine(case.policy, other.policy)
    except PolicyError:
        return
    assert both == combine(other.policy, case.policy)
    assert combine(both, case.policy) == combine(both, both) == both
    try:
        nodes = find_route(case.graph(), node(0), node(1), both).nodes
    except RouteError:
        return
    for policy in (case.policy, other.policy):
        assert policy.hops_at_least <= len(nodes) - 1 <= (policy.hops_at_most or len(nodes))
        assert not policy.exclude.intersection(nodes)
        assert [name for name in nodes if name in policy.via] == list(policy.via)
