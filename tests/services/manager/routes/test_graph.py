"""The graph changes in place: whatever was added and taken away, it routes as one built of what is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.manager.routes.errors import LinkError, NoRouteError, UnknownNodeError
from services.manager.routes.find import find_pair, find_route
from services.manager.routes.graph import Graph
from services.manager.routes.model import Link
from tests.services.manager.routes.graphs import both, join, make_graph, node

changes = st.lists(
    st.tuples(st.sampled_from(["set", "down", "forget", "leave"]), st.integers(0, 5), st.integers(0, 5)), max_size=60
)


@given(changes)
def test_a_changed_graph_is_as_one_built_anew(history: list[tuple[str, int, int]]) -> None:
    graph, kept = make_graph([], size=6), dict[tuple[int, int], Link]()
    for number, (what, one, other) in enumerate(history, 1):
        if what == "leave":
            graph.remove_node(node(one))
            graph.add_node(node(one))
            kept = {ends: link for ends, link in kept.items() if one not in ends}
        elif one != other and what == "forget":
            graph.remove_link(node(one), node(other))
            kept.pop((one, other), None)
        elif one != other:
            for ends in ((one, other), (other, one)):
                kept[ends] = Link(node(ends[0]), node(ends[1]), 2.0**-number, up=what == "set")
                graph.set_link(kept[ends])
    assert latency(graph) == latency(make_graph(kept.values(), size=6))


def latency(graph: Graph) -> float | None:
    try:
        return find_route(graph, node(0), node(1)).latency_s
    except NoRouteError:
        return None


def test_a_revision_rises_with_what_changes_and_only_then() -> None:
    graph = join((0, 1, 1.0))
    before = graph.revision
    graph.set_link(both(0, 1, 1.0)[0])
    graph.add_node(node(0))
    graph.remove_link(node(0), node(5))
    assert graph.revision == before == find_pair(graph, node(0), node(1)).revision
    graph.set_link(both(0, 1, 2.0)[0])
    assert graph.revision == before + 1


def test_a_link_counts_when_both_ends_report_it() -> None:
    graph = make_graph(both(0, 1, 1.0)[:1])
    with pytest.raises(NoRouteError, match="no link that is up"):
        find_route(graph, node(0), node(1))
    graph.set_link(both(0, 1, 1.0)[1])
    assert find_route(graph, node(0), node(1)).hops == 1


def test_a_silent_node_is_an_end_and_no_relay() -> None:
    graph = join((0, 2, 1.0), (2, 1, 1.0), (0, 1, 9.0), silent=[0, 1, 2])
    assert find_route(graph, node(0), node(1)).hops == 1
    graph.add_node(node(2), relays=True)
    assert find_route(graph, node(0), node(1)).hops == 2


def test_what_is_not_there_is_named() -> None:
    graph = join((0, 1, 1.0))
    graph.remove_node(node(1))
    with pytest.raises(UnknownNodeError, match=node(1)):
        graph.remove_node(node(1))
    with pytest.raises(UnknownNodeError, match=node(1)):
        graph.set_link(both(0, 1, 1.0)[0])


@pytest.mark.parametrize("wrong", [{"latency_s": -1.0}, {"latency_s": float("nan")}, {"loss": 1.5}, {"price": 1e10}])
def test_a_report_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LinkError, match=next(iter(wrong))):
        Link(**{"src": node(0), "dst": node(1), "latency_s": 0.1, **wrong})  # type: ignore[arg-type]


def test_noise_buys_no_relays() -> None:
    """Three hops that look quicker than one by a hair, and by more."""
    for direct_ms, hops in ((0.9, 1), (4.0, 3)):
        graph = Graph(hop_s=0.001)
        for number in range(4):
            graph.add_node(node(number))
        for link in (*both(0, 3, direct_ms), *both(0, 1, 0.25), *both(1, 2, 0.25), *both(2, 3, 0.25)):
            graph.set_link(link)
        route = find_route(graph, node(0), node(3))
        assert route.hops == hops
        assert route.latency_s == pytest.approx(direct_ms / 1000 if hops == 1 else 0.00075)
