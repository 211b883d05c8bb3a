"""What a press means. Pure: the button's state and one event give the next state, and an act or none.

Only a press whose start was seen after a stable release counts. One held since power-on or for over `STUCK_S`
is stuck: a trouble, never an act. A short press is known only once the double-press window has passed.
"""

import math
from dataclasses import replace
from enum import Enum

from skywire_board.model import Button, ButtonPressed, ButtonReleased, Press, Severity, TimePassed, Trouble

SHORT_MOST_S = 1.5  # a longer hold is not a press (the holds of 3 s and 10 s come with pairing)
DOUBLE_WINDOW_S = 0.5  # from the first release to the second press
STUCK_S = 30.0

STUCK = Trouble(
    "button-stuck",
    "button stuck",
    Severity.NOTE,
    f"held since power-on or for over {STUCK_S:.0f} s; it is ignored until it is released",
)


class Act(Enum):
    """What the person wants, or that the button is stuck."""

    SHORT = "short"
    DOUBLE = "double"
    STUCK = "stuck"


def press_event(button: Button, event: ButtonPressed | ButtonReleased | TimePassed) -> tuple[Button, Act | None]:
    """The next state of the button, and the act that became certain with `event`."""
    button, act = _run_out(button, event.at_s)
    if isinstance(event, ButtonPressed):
        button, later = _pressed(button, event.at_s)
    elif isinstance(event, ButtonReleased):
        button, later = _released(button, event.at_s)
    else:
        later = None
    return button, act or later


def press_wake_s(button: Button) -> float:
    """When a TimePassed would change `button`; infinity when only a hand can."""
    if button.press in (Press.DOWN, Press.DOWN_AGAIN):
        return button.since_s + STUCK_S
    if button.press is Press.UP_AFTER_ONE:
        return button.since_s + DOUBLE_WINDOW_S
    return math.inf


def _run_out(button: Button, at_s: float) -> tuple[Button, Act | None]:
    """What time alone did before `at_s`."""
    if at_s < press_wake_s(button):
        return button, None
    if button.press is Press.UP_AFTER_ONE:
        return Button(Press.UP, at_s), Act.SHORT
    return Button(Press.STUCK, at_s), Act.STUCK


def _pressed(button: Button, at_s: float) -> tuple[Button, Act | None]:
    match button.press:
        case Press.WAITING:
            return Button(Press.STUCK, at_s), Act.STUCK
        case Press.UP:
            return Button(Press.DOWN, at_s), None
        case Press.UP_AFTER_ONE:
            return Button(Press.DOWN_AGAIN, at_s), None
        case _:
            return button, None


def _released(button: Button, at_s: float) -> tuple[Button, Act | None]:
    short = at_s - button.since_s <= SHORT_MOST_S
    match button.press:
        case Press.DOWN if short:
            return Button(Press.UP_AFTER_ONE, at_s), None
        case Press.DOWN_AGAIN if short:
            return Button(Press.UP, at_s), Act.DOUBLE
        case Press.UP | Press.UP_AFTER_ONE:
            return button, None
        case _:
            return replace(button, press=Press.UP, since_s=at_s), None
