"""What counts as a press, at the edges of the windows."""

import math

import pytest

from skywire_board.model import Button, ButtonPressed, ButtonReleased, Press, TimePassed
from skywire_board.presses import DOUBLE_WINDOW_S, SHORT_MOST_S, STUCK_S, Act, press_event, press_wake_s

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


@pytest.mark.parametrize(("held_s", "expected"), [(SHORT_MOST_S, [Act.SHORT]), (SHORT_MOST_S + 0.1, [])])
def test_a_long_hold_is_not_a_press(held_s: float, expected: list[Act]) -> None:
    assert acts(UP, *press(5.0, held_s), TimePassed(50.0)) == expected


def test_a_hold_of_half_a_minute_is_stuck_and_then_forgotten() -> None:
    assert acts(UP, ButtonPressed(5.0), TimePassed(5.0 + STUCK_S), ButtonReleased(60.0)) == [Act.STUCK]
    assert acts(UP, ButtonPressed(5.0), ButtonReleased(60.0), *press(70.0), TimePassed(72.0)) == [
        Act.STUCK,
        Act.SHORT,
    ]


def test_held_since_power_on_is_stuck_at_once() -> None:
    assert acts(Button(), ButtonPressed(1.0)) == [Act.STUCK]
    assert acts(Button(), ButtonReleased(1.0), *press(2.0), TimePassed(9.0)) == [Act.SHORT]


def test_nothing_to_wake_for_while_nothing_happens() -> None:
    assert press_wake_s(UP) == math.inf
    assert press_wake_s(Button()) == math.inf
