"""What a press means. Pure: the button's state and one event give the next state, and an act or none.

Only a press whose start was seen after a stable release counts. One held since power-on, or for over `STUCK_S`, is
stuck: a trouble, never an act. A short press is known only once the double-press window has passed.

    held 0 to 1.5 s      short; twice: power off
    1.5 to 3 s           nothing
    3 to 5 s             pairing, once let go; the light shows it from 3 s on
    5 to 10 s            nothing, once let go: called off; the light counts down
    10 s                 factory reset, at once

A board that was stalled in between has not seen the finger all the while, and has not counted down: no reset.
"""

import math
from dataclasses import dataclass, replace

from skywire_board.model import Act, ButtonPressed, ButtonReleased, Severity, TimePassed, Trouble
from skywire_board.state import Button, Press

SHORT_MOST_S = 1.5
DOUBLE_WINDOW_S = 0.5  # from the first release to the second press
PAIR_S = 3.0
COUNTDOWN_S = 5.0
RESET_S = 10.0
STUCK_S = 30.0
STALL_S = 2.5  # longer between two looks at a held button, and nobody has seen it held

BUTTON: dict[Act, tuple[str, str]] = {
    Act.SHORT: ("short", "identify for 10 s; opens the claim while unclaimed; confirms a pairing"),
    Act.DOUBLE: ("twice within 0.5 s", "power off safely"),
    Act.PAIR: ("hold 3 s, let go before 5 s", "pair with another board; the light shows it from 3 s on"),
    Act.CALLED_OFF: ("hold 5 s, let go before 10 s", "nothing: called off"),
    Act.RESET: ("hold 10 s", "factory reset; the light counts down from 5 s on"),
    Act.STUCK: ("held from power-on, or over 30 s", "nothing until it is let go"),
}
"""How each act is made, and what it does: one table, which the README renders."""

STUCK = Trouble(
    "button-stuck",
    "button stuck",
    Severity.NOTE,
    f"held since power-on or for over {STUCK_S:.0f} s; it is ignored until it is released",
)


@dataclass(frozen=True, slots=True)
class Hold:
    """What letting go now would mean: PAIR, or CALLED_OFF with `left_s` whole seconds until the reset."""

    act: Act
    left_s: int = 0


def press_event(button: Button, event: ButtonPressed | ButtonReleased | TimePassed) -> tuple[Button, Act | None]:
    """The next state of the button, and the act that became certain with `event`."""
    button, act = _run_out(button, event.at_s)
    if button.press is Press.DOWN:
        button = replace(button, seen_s=event.at_s)
    if isinstance(event, ButtonPressed):
        button, later = _pressed(button, event.at_s)
    elif isinstance(event, ButtonReleased):
        button, later = _released(button, event.at_s)
    else:
        later = None
    return button, act or later


def press_wake_s(button: Button, now_s: float) -> float:
    """When a TimePassed would change `button`, or what it shows; infinity when only a hand can."""
    if button.press is Press.DOWN:
        steps = (PAIR_S, *(COUNTDOWN_S + second for second in range(round(RESET_S - COUNTDOWN_S) + 1)))
        return min(
            (at_s for step in steps if (at_s := button.since_s + step) > now_s), default=button.since_s + RESET_S
        )
    return _runs_out_s(button)


def hold_of(button: Button, now_s: float) -> Hold | None:
    """What the light shows of a button that is held; None for less than `PAIR_S`."""
    held_s = now_s - button.since_s
    if button.press is not Press.DOWN or held_s < PAIR_S:
        return None
    if held_s < COUNTDOWN_S:
        return Hold(Act.PAIR)
    return Hold(Act.CALLED_OFF, max(1, math.ceil(RESET_S - held_s)))


def _runs_out_s(button: Button) -> float:
    """When time alone changes the state."""
    match button.press:
        case Press.DOWN:
            return button.since_s + RESET_S
        case Press.DOWN_AGAIN | Press.SPENT:
            return button.since_s + STUCK_S
        case Press.UP_AFTER_ONE:
            return button.since_s + DOUBLE_WINDOW_S
        case _:
            return math.inf


def _run_out(button: Button, at_s: float) -> tuple[Button, Act | None]:
    """What time alone did before `at_s`."""
    if at_s < _runs_out_s(button):
        return button, None
    match button.press:
        case Press.UP_AFTER_ONE:
            return Button(Press.UP, at_s), Act.SHORT
        case Press.DOWN:
            seen = max(at_s - button.seen_s, at_s - _runs_out_s(button)) <= STALL_S
            return Button(Press.SPENT, button.since_s), Act.RESET if seen else Act.CALLED_OFF
        case _:
            return Button(Press.STUCK, at_s), Act.STUCK


def _pressed(button: Button, at_s: float) -> tuple[Button, Act | None]:
    match button.press:
        case Press.WAITING:
            return Button(Press.STUCK, at_s), Act.STUCK
        case Press.UP:
            return Button(Press.DOWN, at_s, at_s), None
        case Press.UP_AFTER_ONE:
            return Button(Press.DOWN_AGAIN, at_s), None
        case _:
            return button, None


def _released(button: Button, at_s: float) -> tuple[Button, Act | None]:
    held_s = at_s - button.since_s
    match button.press:
        case Press.DOWN if held_s <= SHORT_MOST_S:
            return Button(Press.UP_AFTER_ONE, at_s), None
        case Press.DOWN_AGAIN if held_s <= SHORT_MOST_S:
            return Button(Press.UP, at_s), Act.DOUBLE
        case Press.UP | Press.UP_AFTER_ONE:
            return button, None
        case Press.DOWN if held_s >= PAIR_S:
            return Button(Press.UP, at_s), Act.PAIR if held_s < COUNTDOWN_S else Act.CALLED_OFF
        case _:
            return replace(button, press=Press.UP, since_s=at_s), None
