"""Against looking at every way: cost, policy and disjointness of what comes out, on small graphs of every shape."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.manager.routes.errors import NoRouteError
from services.manager.routes.find import find_pair, find_route, find_standby
from services.manager.routes.model import Apart, Pair, Route
from services.manager.routes.policy import Policy
from tests.services.manager.routes.graphs import Brute, Case, Way, cases, node

STEPS = 1_000_000


def way_of(route: Route) -> Way:
    return tuple([node(number) for number in range(10)].index(name) for name in route.nodes)


@settings(max_examples=60)
@given(cases())
def test_one_route_is_the_best(case: Case) -> None:
    brute = Brute(case)
    if not brute.ways:
        with pytest.raises(NoRouteError, match="no route from"):
            find_route(case.graph(), node(0), node(1), case.policy, STEPS)
        return
    way = way_of(find_route(case.graph(), node(0), node(1), case.policy, STEPS))
    assert way in brute.ways
    assert brute.cost(way) == min(brute.cost(other) for other in brute.ways)


@settings(max_examples=100)
@given(cases())
def test_two_routes_are_the_best_two(case: Case) -> None:
    brute = Brute(case)
    if not brute.ways:
        return
    pair = find_pair(case.graph(), node(0), node(1), case.policy, STEPS)
    for apart, split in ((Apart.NODES, True), (Apart.LINKS, False)):
        if possible := brute.pairs(split=split):
            assert pair.apart == apart
            assert pair.standby is not None
            two = way_of(pair.route), way_of(pair.standby)
            assert tuple(sorted(two)) in {tuple(sorted(ways)) for ways in possible}
            assert brute.cost(*two) == min(brute.cost(*ways) for ways in possible)
            assert brute.cost(two[0]) <= brute.cost(two[1])
            assert (pair.reason == "") == (apart == Apart.NODES)
            return
    assert (pair.standby, pair.apart) == (None, Apart.NONE)
    assert brute.cost(way_of(pair.route)) == min(brute.cost(way) for way in brute.ways)
    assert "no two routes apart in nodes" in pair.reason


@settings(max_examples=100)
@given(cases(), st.data())
def test_a_standby_is_the_best_beside_a_live_route(case: Case, data: st.DataObject) -> None:
    if case.policy.via or not Brute(case).ways:
        return
    every = Brute(Case(case.size, case.links, case.silent, Policy()))
    live = data.draw(st.sampled_from(every.ways))
    brute = Brute(case)
    for split in (True, False):
        if possible := [way for way in brute.ways if way != live and brute.apart(live, way, split=split)]:
            found = find_standby(case.graph(), tuple(map(node, live)), case.policy, STEPS)
            assert way_of(found) in possible
            assert brute.cost(way_of(found)) == min(map(brute.cost, possible))
            return
    with pytest.raises(NoRouteError, match="no second route"):
        find_standby(case.graph(), tuple(map(node, live)), case.policy, STEPS)


@settings(max_examples=60)
@given(cases())
def test_the_same_question_has_one_answer(case: Case) -> None:
    def ask() -> Pair | str:
        try:
            return find_pair(case.graph(), node(0), node(1), case.policy)
        except NoRouteError as error:
            return str(error)

    assert ask() == ask()
