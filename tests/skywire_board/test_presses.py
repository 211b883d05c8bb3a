"""What counts as a press, at the edges of the windows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire_board.model import Act, ButtonPressed, ButtonReleased, TimePassed
from skywire_board.presses import (
    COUNTDOWN_S,
    DOUBLE_WINDOW_S,
    PAIR_S,
    RESET_S,
    SHORT_MOST_S,
    STALL_S,
    STUCK_S,
    Hold,
    hold_of,
    press_event,
    press_wake_s,
)
from skywire_board.state import Button, Press

UP = Button(Press.UP, 1.0)


def acts(button: Button, *events: ButtonPressed | ButtonReleased | TimePassed) -> list[Act]:
    """The acts that `events` lead to."""
    found = []
    for event in events:
        button, act = press_event(button, event)
        found += [act] if act else []
    return found


def press(at_s: float, held_s: float = 0.1) -> tuple[ButtonPressed, ButtonReleased]:
    return ButtonPressed(at_s), ButtonReleased(at_s + held_s)


def test_short_is_known_when_the_window_has_passed() -> None:
    assert acts(UP, *press(5.0), TimePassed(5.1 + DOUBLE_WINDOW_S - 0.01)) == []
    assert acts(UP, *press(5.0), TimePassed(5.1 + DOUBLE_WINDOW_S)) == [Act.SHORT]


def test_double_is_known_at_the_second_release() -> None:
    assert acts(UP, *press(5.0), ButtonPressed(5.3)) == []
    assert acts(UP, *press(5.0), *press(5.3)) == [Act.DOUBLE]


def test_two_slow_presses_are_two_short_ones() -> None:
    second = 5.1 + DOUBLE_WINDOW_S + 0.1
    assert acts(UP, *press(5.0), *press(second), TimePassed(second + 1)) == [Act.SHORT, Act.SHORT]


def hold(at_s: float, held_s: float) -> tuple[ButtonPressed | ButtonReleased | TimePassed, ...]:
    """Pressed, looked at as often as the loop does, and let go."""
    looks: list[ButtonPressed | ButtonReleased | TimePassed] = [ButtonPressed(at_s)]
    button = Button(Press.DOWN, at_s, at_s)
    while (wake_s := press_wake_s(button, looks[-1].at_s)) < at_s + held_s:
        looks.append(TimePassed(wake_s))
        button, _ = press_event(button, looks[-1])
    return (*looks, ButtonReleased(at_s + held_s))


@pytest.mark.parametrize(
    ("held_s", "expected"),
    [
        (SHORT_MOST_S, [Act.SHORT]),
        (SHORT_MOST_S + 0.1, []),
        (2.95, []),
        (3.0, [Act.PAIR]),
        (4.95, [Act.PAIR]),
        (5.0, [Act.CALLED_OFF]),
        (9.95, [Act.CALLED_OFF]),
        (10.05, [Act.RESET]),
        (29.0, [Act.RESET]),
        (31.0, [Act.RESET, Act.STUCK]),
        (3600.0, [Act.RESET, Act.STUCK]),
    ],
)
def test_each_hold_is_one_act(held_s: float, expected: list[Act]) -> None:
    assert acts(UP, *hold(5.0, held_s), TimePassed(9000.0)) == expected


@given(st.floats(0.05, 100.0))
def test_no_hold_of_less_than_ten_seconds_resets(held_s: float) -> None:
    found = acts(UP, *hold(5.0, held_s), TimePassed(9000.0))
    assert (Act.RESET in found) is (held_s >= RESET_S)
    assert (Act.PAIR in found) is (PAIR_S <= held_s < COUNTDOWN_S)


@given(st.floats(0.0, 4.0), st.floats(STALL_S + RESET_S, 1000.0))
def test_a_board_that_stalled_does_not_reset(before_s: float, stalled_s: float) -> None:
    """The finger may have been gone for long when the board comes back to itself."""
    looks = (ButtonPressed(5.0), TimePassed(5.0 + before_s), TimePassed(5.0 + stalled_s))
    assert Act.RESET not in acts(UP, *looks)
    assert Act.RESET not in acts(UP, *looks[:2], ButtonReleased(5.0 + stalled_s))


def test_the_light_counts_down_while_held() -> None:
    seen = [hold_of(Button(Press.DOWN, 5.0), 5.0 + held_s) for held_s in range(10)]
    countdown = [Hold(Act.CALLED_OFF, left_s) for left_s in (5, 4, 3, 2, 1)]
    assert seen == [None] * 3 + [Hold(Act.PAIR)] * 2 + countdown


def test_after_a_reset_nothing_is_done_until_it_is_let_go() -> None:
    assert acts(UP, *hold(5.0, 12.0), *press(20.0), TimePassed(30.0)) == [Act.RESET, Act.SHORT]


def test_a_second_press_that_is_held_does_nothing() -> None:
    assert acts(UP, *press(5.0), ButtonPressed(5.3), TimePassed(20.0), ButtonReleased(20.1), TimePassed(30.0)) == []
    assert acts(UP, *press(5.0), ButtonPressed(5.3), TimePassed(5.3 + STUCK_S)) == [Act.STUCK]


def test_held_since_power_on_is_stuck_at_once() -> None:
    assert acts(Button(), ButtonPressed(1.0)) == [Act.STUCK]
    assert acts(Button(), ButtonReleased(1.0), *press(2.0), TimePassed(9.0)) == [Act.SHORT]


def test_nothing_to_wake_for_while_nothing_happens() -> None:
    assert press_wake_s(UP, 9.0) == math.inf
    assert press_wake_s(Button(), 9.0) == math.inf
