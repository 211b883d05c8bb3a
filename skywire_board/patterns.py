"""The light programs: one table, which the README renders and the lights play.

A program is a round of steps (on?, milliseconds), repeated for ever. They differ in period and in share of
light, never in colour. From outside, the period is the time between two rising edges of the longest dark or
light stretch.
"""

from dataclasses import dataclass

from skywire_board.model import Pattern

Steps = tuple[tuple[bool, int], ...]

ACTIVITY_FLASH_MS = 60
CODE_ON_MS = 300
CODE_OFF_MS = 300
CODE_PAUSE_MS = 1500


@dataclass(frozen=True, slots=True)
class Program:
    """One row of the table: `steps` of a round and what the pattern means to a person."""

    steps: Steps
    look: str
    text: str

    @property
    def period_ms(self) -> int:
        """Length of one round."""
        return sum(ms for _, ms in self.steps)


def blink_code(blinks: int) -> Steps:
    """`blinks` (at least 1) slow flashes and a pause: a number that can be counted by eye."""
    flashes = [(True, CODE_ON_MS), (False, CODE_OFF_MS)] * max(1, blinks)
    return (*flashes[:-1], (False, CODE_PAUSE_MS))


PROGRAMS: dict[Pattern, Program] = {
    Pattern.BOOTING: Program(
        ((True, 500), (False, 500)), "even blinking, once a second", "the system starts; nothing to do"
    ),
    Pattern.RUNNING: Program(
        ((True, 1800), (False, 200)), "lit, with a wink every 2 s", "viscript answers; the board is ready"
    ),
    Pattern.DEGRADED: Program(
        ((True, 150), (False, 150), (True, 150), (False, 1050)),
        "two quick flashes every 1.5 s",
        "viscript does not answer and is being brought back, or answers that something is wrong: see `status`",
    ),
    Pattern.IDENTIFY: Program(
        ((True, 150), (False, 150)), "fast blinking for 10 s", "a short press: this is the board you look for"
    ),
    Pattern.FAULT: Program(
        blink_code(3), "slow flashes, a pause: count them", "something needs a person; the count says what"
    ),
    Pattern.SHUTTING_DOWN: Program(
        ((True, 150), (False, 550)),
        "dark, with short flashes every 0.7 s",
        "a double press: powering off safely; do not unplug before it is dark",
    ),
}


def steps_of(pattern: Pattern, blinks: int = 0) -> Steps:
    """The round to play for `pattern`; a fault's is made of its blink code."""
    if pattern is Pattern.FAULT and blinks:
        return blink_code(blinks)
    return PROGRAMS[pattern].steps
