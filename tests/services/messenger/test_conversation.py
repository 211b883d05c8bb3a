"""Windows take each number once, in whatever order and however often it comes; states only grow."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from services.messenger.conversation import MAX_GAPS, RANK, State, Window, is_fair, later, least, next_sequence
from services.messenger.model import MAX_SEQUENCE

STATES = st.sampled_from(sorted(RANK))


@given(st.lists(st.integers(1, 60), max_size=200))
def test_a_window_is_a_set(numbers: list[int]) -> None:
    window, taken = Window(), set[int]()
    for number in numbers:
        assert window.holds(number) == (number in taken)
        if number not in taken:
            window = window.take(number)
            taken.add(number)
    assert {number for number in range(1, 70) if window.holds(number)} == taken
    assert window.upto == next(number for number in range(71) if number + 1 not in taken)
    pairs = [(window.upto, window.upto), *window.beyond] if window.upto else list(window.beyond)
    assert all(first <= last for first, last in window.beyond)
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(pairs)), "as few pairs as can be"


def test_a_window_of_one_gap_stays_small() -> None:
    window = Window()
    for number in range(2, 5000):
        window = window.take(number)
    assert window == Window(0, ((2, 4999),))
    assert window.take(1) == Window(4999)


def test_a_window_is_full_of_gaps() -> None:
    window = Window(0, tuple((number, number) for number in range(2, 2 * MAX_GAPS + 2, 2)))
    assert window.is_full
    assert not window.take(1).is_full


@given(STATES, STATES)
def test_states_only_grow(old: State, new: State) -> None:
    assert RANK[later(old, new)] == max(RANK[old], RANK[new])


@given(st.lists(STATES, max_size=5))
def test_the_least_of_a_group(states: list[State]) -> None:
    found = least(states)
    if not states:
        assert found == "delivered"
    elif set(states) == {"failed"}:
        assert found == "failed"
    else:
        assert RANK[found] == min(RANK[state] for state in states if state != "failed")


def test_sequences_are_fair() -> None:
    assert next_sequence(0) == 1
    assert is_fair(1, 0)
    assert is_fair(7, 1000)
    assert not is_fair(0, 0)
    assert not is_fair(MAX_SEQUENCE, 0)
