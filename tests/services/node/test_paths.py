"""The choice of ways, in a world of given times: each way has a delay, and loses what is asked while it is dead."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.node.paths import (
    ASLEEP_S,
    AWAKE_S,
    BUSY_S,
    DIRECT,
    Ask,
    Effect,
    Leave,
    Paths,
    Switch,
    TryDirect,
    WantStandby,
)

GIVEN_UP_S = 2.0


def always(rtt_s: float) -> Callable[[float], float]:
    return lambda _: rtt_s


def dead_from(at_s: float, rtt_s: float = 0.01, until_s: float = math.inf) -> Callable[[float], float]:
    return lambda now_s: math.inf if at_s <= now_s < until_s else rtt_s


@dataclass
class World:
    """Runs a `Paths` as the node does. `rtt` gives a way's round trip for a question at that time."""

    paths: Paths
    rtt: dict[str, Callable[[float], float]]
    now_s: float = 0.0
    busy_until_s: float = math.inf
    told: list[tuple[float, Effect]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    standbys: list[str] = field(default_factory=list)
    direct_rtt_s: float | None = None
    _events: list[tuple[float, int, bool]] = field(default_factory=list)

    def run(self, until_s: float) -> World:
        next_traffic_s = self.now_s
        while self.now_s <= until_s:
            if next_traffic_s <= self.now_s < self.busy_until_s:
                self.paths.traffic(self.now_s)
                next_traffic_s = self.now_s + 1.0
            for effect in self.paths.step(self.now_s):
                self._do(effect)
            event_s = self._events[0][0] if self._events else math.inf
            traffic_s = next_traffic_s if next_traffic_s < self.busy_until_s else math.inf
            due_s = self.paths.next_s()
            self.now_s = max(min(due_s, event_s, traffic_s, until_s + 0.001), self.now_s + 1e-6)
            while self._events and self._events[0][0] <= self.now_s:
                at_s, number, is_answered = heapq.heappop(self._events)
                self.paths.answered(number, at_s) if is_answered else self.paths.lost(number)
        return self

    def _do(self, effect: Effect) -> None:
        if not isinstance(effect, Ask):
            self.told.append((self.now_s, effect))
        if isinstance(effect, Ask):
            self.asked[effect.route] += 1
            rtt_s = self.rtt[effect.route](self.now_s)
            heapq.heappush(self._events, (self.now_s + min(rtt_s, GIVEN_UP_S), effect.number, rtt_s < GIVEN_UP_S))
        if isinstance(effect, WantStandby):
            if self.standbys:
                self.paths.add(self.standbys.pop(0), self.now_s)
            self.paths.standby_told(self.now_s)
        if isinstance(effect, TryDirect):
            self.paths.direct_told(self.direct_rtt_s, self.now_s)

    def switched(self) -> list[tuple[float, str]]:
        return [(at_s, effect.route) for at_s, effect in self.told if isinstance(effect, Switch)]

    def wanted(self) -> list[float]:
        return [at_s for at_s, effect in self.told if isinstance(effect, WantStandby)]


def two(a: Callable[[float], float], b: Callable[[float], float], **more: object) -> World:
    return World(Paths(("a", "b"), "a", 0.0), {"a": a, "b": b}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("rtt_s", [0.0005, 0.01, 0.08, 0.3])
@pytest.mark.parametrize("offset_s", [0.0, 0.03, 0.07, 0.099])
def test_a_dead_way_is_left_in_a_third_of_a_second(rtt_s: float, offset_s: float) -> None:
    dies_s = 10.0 + offset_s
    world = two(dead_from(dies_s, rtt_s), always(rtt_s)).run(dies_s + 5)
    ((at_s, route),) = world.switched()
    assert route == "b"
    assert at_s - dies_s < 0.3 + 2 * rtt_s


def test_while_all_is_well_nothing_is_done() -> None:
    world = two(always(0.01), always(0.02)).run(100.0)
    assert world.told == []
    assert world.paths.active == "a"
    assert 950 < world.asked["a"] < 1050
    assert 45 < world.asked["b"] < 55


def test_a_quiet_session_is_asked_seldom_and_an_idle_one_less() -> None:
    world = two(always(0.01), always(0.01), busy_until_s=1.0).run(AWAKE_S)
    assert world.asked["a"] < 10 * (BUSY_S + 2) + AWAKE_S / 2
    before = world.asked.copy()
    world.run(AWAKE_S + 20 * ASLEEP_S)
    assert world.asked["a"] - before["a"] <= 22
    assert world.asked["b"] - before["b"] <= 22


def test_sessions_of_a_restarted_process_begin_calmly() -> None:
    world = two(always(0.01), always(0.01), busy_until_s=0.0)
    world.paths.rest(0.0, 1.5)
    world.run(1.4)
    assert not world.asked
    world.run(10.0)
    assert 8 <= sum(world.asked.values()) <= 12


def test_traffic_wakes_a_sleeping_session() -> None:
    world = two(dead_from(205.0), always(0.01), busy_until_s=1.0).run(205.0)
    assert world.switched() == []
    world.busy_until_s = math.inf
    world.run(210.0)
    ((at_s, _),) = world.switched()
    assert at_s < 205.5


def test_a_short_gap_changes_nothing() -> None:
    gap = dead_from(10.0, 0.01, until_s=10.06)
    world = two(gap, always(0.01)).run(20.0)
    assert world.told == []
    assert world.paths.ways["a"].missed == []


def test_slow_answers_are_answers() -> None:
    """The path fills up: 10 ms become 400 ms within two seconds."""
    world = two(lambda now_s: 0.01 + min(max(now_s - 10, 0), 2) * 0.2, always(0.01)).run(30.0)
    assert world.told == []
    assert world.paths.ways["a"].rtt_s == pytest.approx(0.41, rel=0.2)


def test_both_dead_nothing_is_chosen_and_standbys_are_wanted() -> None:
    world = two(dead_from(10.0), dead_from(10.0)).run(60.0)
    assert world.switched() == []
    assert len(world.wanted()) >= 1
    assert world.asked["a"] < 10 * 10 + 60 * 5


def test_the_first_to_live_again_is_taken() -> None:
    world = two(dead_from(10.0), dead_from(10.0, until_s=25.0)).run(60.0)
    ((at_s, route),) = world.switched()
    assert route == "b"
    assert 25.0 <= at_s < 25.5


def test_a_way_that_lives_again_is_stayed_on() -> None:
    world = two(dead_from(10.0, until_s=20.0), dead_from(9.0)).run(60.0)
    assert world.switched() == []
    assert world.paths.ways["a"].is_up


def test_after_a_switch_a_standby_is_asked_for_and_the_dead_way_left() -> None:
    world = two(dead_from(10.0), always(0.01), standbys=["c"])
    world.rtt["c"] = always(0.01)
    world.run(20.0)
    assert [route for _, route in world.switched()] == ["b"]
    assert len(world.wanted()) == 1
    assert world.wanted()[0] < 13.0
    assert [effect.route for _, effect in world.told if isinstance(effect, Leave)] == ["a"]
    assert set(world.paths.ways) == {"b", "c"}


def test_a_dead_standby_is_replaced() -> None:
    world = two(always(0.01), dead_from(5.0), standbys=["c"])
    world.rtt["c"] = always(0.01)
    world.run(60.0)
    assert world.switched() == []
    assert set(world.paths.ways) == {"a", "c"}


def test_asking_for_standbys_in_vain_gets_rarer() -> None:
    world = World(Paths(("a",), "a", 0.0), {"a": always(0.01)}).run(1800.0)
    wanted = world.wanted()
    assert 10 < len(wanted) < 25
    assert wanted[0] >= 30.0


def test_switching_back_needs_another_death() -> None:
    world = two(dead_from(10.0, until_s=11.0), dead_from(30.0)).run(60.0)
    assert [route for _, route in world.switched()] == ["b", "a"]
    assert world.switched()[1][0] < 31.0
    assert world.paths.switches == 2


def test_of_several_the_nearest_is_taken() -> None:
    paths = Paths(("a", "b", "c"), "a", 0.0)
    world = World(paths, {"a": dead_from(10.0), "b": always(0.09), "c": always(0.02)})
    world.run(9.0)
    assert "b" not in paths.ways, "two routes are enough"
    paths.add("b", 9.0)
    world.run(9.02)
    paths.step(9.02)
    world.run(11.0)
    assert [route for _, route in world.switched()] == ["c"]


# direct


def direct(rtt_s: float | None, **more: object) -> World:
    paths = Paths(("a", "b"), "a", 0.0, may_be_direct=True)
    ways = {"a": always(0.01), "b": always(0.01), DIRECT: always(0.002)}
    return World(paths, ways, direct_rtt_s=rtt_s, **more)  # type: ignore[arg-type]


def tries(world: World) -> list[float]:
    return [at_s for at_s, effect in world.told if isinstance(effect, TryDirect)]


def test_direct_is_tried_when_idle_and_taken() -> None:
    world = direct(0.002, busy_until_s=0.5).run(10.0)
    assert len(tries(world)) == 1
    assert 1.0 <= tries(world)[0] < 3.0
    assert world.paths.active == DIRECT
    assert world.asked[DIRECT] > 0


def test_direct_is_tried_under_traffic_later_and_seldom() -> None:
    world = direct(None).run(3600.0)
    assert tries(world)[0] >= 5.0
    assert 3 < len(tries(world)) < 8
    assert world.paths.active == "a"
    assert world.switched() == []


def test_other_places_are_tried_soon_and_then_not_for_long() -> None:
    paths = Paths(("a", "b"), "a", 0.0, may_be_direct=True)
    now_s, tried = 0.0, list[float]()
    for number in range(6):
        while TryDirect() not in paths.step(now_s):
            now_s += 0.1
        tried.append(now_s)
        paths.direct_told(None, now_s, is_last=number % 3 == 2)
    apart = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert max(*apart[:2], *apart[3:]) < 1.0
    assert 14 < apart[2] < 17


def test_a_trial_holds_up_what_passes_for_a_moment_only() -> None:
    world = direct(None).run(4.0)
    assert world.paths.try_within_s(4.0) < 0.2
    assert world.paths.try_within_s(20.0) >= 0.4


def test_direct_is_not_tried_where_it_is_forbidden() -> None:
    world = two(always(0.01), always(0.01), busy_until_s=1.0).run(3600.0)
    assert tries(world) == []


def test_a_dead_direct_way_gives_way_to_a_route() -> None:
    world = direct(0.002)
    world.rtt[DIRECT] = dead_from(20.0, 0.002)
    world.run(20.0)
    assert world.paths.active == DIRECT
    world.direct_rtt_s = None
    world.run(25.0)
    ((at_s, route),) = world.switched()
    assert route in {"a", "b"}
    assert at_s < 20.5
    assert DIRECT not in world.paths.ways


def test_a_direct_session_without_routes_asks_for_some() -> None:
    world = World(Paths((), DIRECT, 0.0, may_be_direct=True), {DIRECT: dead_from(50.0), "c": always(0.01)})
    world.standbys = ["c"]
    world.run(60.0)
    assert [route for _, route in world.switched()] == ["c"]


# anything


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from("ab"), st.lists(st.tuples(st.floats(0, 30), st.floats(0.05, 10)), max_size=4), min_size=2
    ),
    st.floats(0.001, 0.4),
    st.booleans(),
)
def test_whatever_dies_and_lives_the_session_ends_on_a_living_way(
    deaths: dict[str, list[tuple[float, float]]], rtt_s: float, busy: bool
) -> None:
    def way(route: str) -> Callable[[float], float]:
        def rtt(now_s: float) -> float:
            dead = any(from_s <= now_s < from_s + for_s for from_s, for_s in deaths.get(route, []))
            return math.inf if dead or (route == "b" and now_s > 100) else rtt_s

        return rtt

    world = two(way("a"), way("b"), busy_until_s=math.inf if busy else 5.0).run(150.0)
    assert world.paths.active == "a" or world.now_s < 100
    assert world.paths.ways["a"].is_up
    assert sum(world.asked.values()) < 150 * 45
