"""Small graphs for the tests of routes, and the plainest route computer there is: look at every way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations, pairwise

from hypothesis import strategies as st

from services.keys import NodeId
from services.manager.routes.graph import Graph
from services.manager.routes.model import Link
from services.manager.routes.policy import Metric, Policy

Way = tuple[int, ...]


def node(number: int) -> NodeId:
    return NodeId(blake2b(bytes([number]), digest_size=32).hexdigest())


def make_graph(links: Iterable[Link], silent: Iterable[int] = (), size: int = 10) -> Graph:
    graph = Graph()
    for number in range(size):
        graph.add_node(node(number), relays=number not in set(silent))
    for link in links:
        graph.set_link(link)
    return graph


def both(one: int, other: int, latency_ms: float, price: float = 0.0, bandwidth_bps: int = 1) -> list[Link]:
    """A link as both of its nodes report it."""
    s = latency_ms / 1000
    return [Link(node(a), node(b), s, price, bandwidth_bps) for a, b in ((one, other), (other, one))]


def join(*links: tuple[int, int, float], silent: Iterable[int] = ()) -> Graph:
    """(one, other, milliseconds) each."""
    return make_graph([link for row in links for link in both(*row)], silent)


@dataclass(frozen=True)
class Case:
    """A graph of nodes 0 to size-1 by its links, and a request from 0 to 1."""

    size: int
    links: tuple[Link, ...]
    silent: frozenset[int]
    policy: Policy

    def graph(self) -> Graph:
        return make_graph(self.links, self.silent, self.size)


@st.composite
def cases(draw: st.DrawFn, metrics: Iterable[Metric | None] = (None, *Metric), most_nodes: int = 7) -> Case:
    size = draw(st.integers(2, most_nodes) | st.just(most_nodes))
    sparse = draw(st.sampled_from([0, 1, 3, 5]))
    links = []
    for one, other in combinations(range(size), 2):
        if draw(st.integers(0, 9)) >= sparse:
            links += [draw(reports(one, other)), draw(reports(other, one))]
    relays = st.integers(2, max(2, size - 1))
    most_via = min(size - 2, draw(st.sampled_from([0, 0, 0, 1, 2])))
    via = draw(st.lists(relays, unique=True, max_size=most_via))
    others = relays.filter(lambda number: number not in via)
    least = draw(st.sampled_from([1, 1, 1, 2, 3]).filter(lambda hops: hops < size))
    policy = Policy(
        metric=draw(st.sampled_from(list(metrics))),
        hops_at_least=least,
        hops_at_most=draw(st.none() | st.integers(max(least, len(via) + 1), size + 1)),
        via=tuple(map(node, via)),
        exclude=frozenset(map(node, draw(st.sets(others, max_size=1)))) if size > 4 else frozenset(),
    )
    silent = draw(st.frozensets(others, max_size=1)) if size > 4 else frozenset[int]()
    return Case(size, tuple(links), silent, policy)


def reports(one: int, other: int) -> st.SearchStrategy[Link]:
    return st.builds(
        Link,
        st.just(node(one)),
        st.just(node(other)),
        latency_s=st.sampled_from([1, 1, 2, 3, 5, 8, 13, 21, 34, 55]).map(lambda ms: ms / 1000),
        price=st.integers(0, 3).map(float),
        bandwidth_bps=st.integers(1, 6),
        up=st.integers(0, 29).map(lambda dice: dice != 29),
    )


class Brute:
    """Every way of a case that meets its policy, and every two of them."""

    def __init__(self, case: Case) -> None:
        self._case = case
        numbers = {node(number): number for number in range(case.size)}
        self.links = {(numbers[link.src], numbers[link.dst]): link for link in case.links}
        self.via = [numbers[name] for name in case.policy.via]
        self._closed = {numbers[name] for name in case.policy.exclude} | case.silent
        self.ways = [way for way in self._walk((0,)) if self._meets(way)]

    def _walk(self, way: Way) -> Iterator[Way]:
        if way[-1] == 1:
            yield way
            return
        for number in range(self._case.size):
            there, back = self.links.get((way[-1], number)), self.links.get((number, way[-1]))
            if number not in way and number not in self._closed and there and back and there.up and back.up:
                yield from self._walk((*way, number))

    def _meets(self, way: Way) -> bool:
        policy, hops = self._case.policy, len(way) - 1
        passed = [number for number in way if number in self.via]
        return policy.hops_at_least <= hops <= (policy.hops_at_most or hops) and passed == self.via

    def cost(self, *ways: Way) -> tuple[float, ...]:
        """Of one way or two together; lower is better."""
        links = [self.links[step] for way in ways for step in pairwise(way)]
        latency = (sum(round(link.latency_s * 1000) for link in links), len(links))
        match self._case.policy.metric:
            case Metric.PRICE:
                return (sum(link.price for link in links), *latency)
            case Metric.BANDWIDTH:
                return (-min(link.bandwidth_bps for link in links), *latency)
            case _:
                return latency

    def pairs(self, *, split: bool) -> list[tuple[Way, Way]]:
        return [two for two in combinations(self.ways, 2) if self.apart(*two, split=split)]

    def apart(self, one: Way, other: Way, *, split: bool) -> bool:
        links = {frozenset(step) for step in pairwise(one)} & {frozenset(step) for step in pairwise(other)}
        return not links and not (split and set(one[1:-1]) & set(other[1:-1]) - set(self.via))
