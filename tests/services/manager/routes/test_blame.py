"""What is told where there is no route: what stood in the way, by its value."""

import pytest

from services.manager.routes.errors import NoRouteError, PolicyError, TooHardError, UnknownNodeError
from services.manager.routes.find import find_pair
from services.manager.routes.policy import Policy
from tests.services.manager.routes.graphs import join, node

A, B, C, D = (node(number) for number in range(4))
LINE = ((0, 2, 1.0), (2, 3, 1.0), (3, 1, 1.0))


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (Policy(hops_at_most=2), f"no route from '{A}' to '{B}' within 2 hops (the shortest has 3)"),
        (Policy(hops_at_least=4), f"no route from '{A}' to '{B}' that passes no node twice has at least 4 hops"),
        (Policy(exclude=frozenset({D})), f"without the excluded nodes: the best one passes '{D}'"),
        (Policy(disjoint_from=((A, C, B),)), "disjoint from the given routes: they hold every way"),
        (Policy(via=(D, C)), f"passes no node twice passes '{D}', '{C}'"),
        (Policy(via=(node(5),)), f"through via: none from '{A}' to '{node(5)}'"),
    ],
)
def test_the_wish_in_the_way_is_named(policy: Policy, told: str) -> None:
    with pytest.raises(NoRouteError) as caught:
        find_pair(join(*LINE), A, B, policy)
    assert told in str(caught.value)


def test_the_graph_in_the_way_is_named() -> None:
    with pytest.raises(NoRouteError, match=f"'{B}' has no link that is up"):
        find_pair(join((0, 2, 1)), A, B)
    with pytest.raises(NoRouteError, match="no chain of links"):
        find_pair(join((0, 2, 1), (1, 3, 1)), A, B)
    with pytest.raises(NoRouteError, match="nodes that relay joins them"):
        find_pair(join(*LINE, silent=[2]), A, B)
    with pytest.raises(NoRouteError, match=f"via '{C}' does not relay"):
        find_pair(join(*LINE, silent=[2]), A, B, Policy(via=(C,)))


def test_what_makes_no_sense_is_refused() -> None:
    graph = join(*LINE)
    with pytest.raises(UnknownNodeError, match=node(99)):
        find_pair(graph, A, node(99))
    with pytest.raises(PolicyError, match="with itself"):
        find_pair(graph, A, A)
    with pytest.raises(PolicyError, match=f"'{B}' is an end of the route and excluded"):
        find_pair(graph, A, B, Policy(exclude=frozenset({B})))


def test_a_search_that_was_given_up_says_so() -> None:
    ladder = [(number, number + 2, 1.0) for number in range(8)]
    ladder += [(number, number + 1, 1.0) for number in range(9)]
    with pytest.raises(TooHardError, match="stopped after 3 steps"):
        find_pair(join(*ladder), node(0), node(9), Policy(hops_at_least=8), steps=3)
