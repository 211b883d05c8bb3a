"""The light programs and the causes of faults: two tables, which the README renders and the lights play.

A program is a round of steps (on?, milliseconds), repeated for ever. They differ in flashes a round, period and share
of light, never in colour. Four families: lit with winks is well, quick flashes in the dark are trouble, even blinking
is something under way, slow flashes are counted.
"""

from dataclasses import dataclass

from skywire_board.model import Pattern, Show

Steps = tuple[tuple[bool, int], ...]

ACTIVITY_FLASH_MS = 60
CODE_ON_MS = 300
CODE_OFF_MS = 300
CODE_PAUSE_MS = 1500
ZERO_ON_MS = 1000
PAIRING_ROUNDS = 8


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

    @property
    def flashes(self) -> int:
        """How often it becomes lit in one round."""
        levels = [on for on, _ in self.steps]
        return sum(on and not before for before, on in zip([levels[-1], *levels], levels, strict=False))

    @property
    def share(self) -> float:
        """Of a round, how much is lit."""
        return sum(ms for on, ms in self.steps if on) / self.period_ms


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of the faults: what is counted, and what to do."""

    blinks: int
    code: str
    title: str
    text: str


def blink_code(blinks: int) -> Steps:
    """`blinks` (at least 1) slow flashes and a pause: a number that can be counted by eye."""
    flashes = [(True, CODE_ON_MS), (False, CODE_OFF_MS)] * max(1, blinks)
    return (*flashes[:-1], (False, CODE_PAUSE_MS))


def even(ms: int) -> Steps:
    return ((True, ms), (False, ms))


def winks(count: int, lit_ms: int) -> Steps:
    """Lit, then dark `count` times."""
    return ((True, lit_ms), *((False, 150), (True, 150)) * (count - 1), (False, 150))


def quick(count: int, dark_ms: int) -> Steps:
    """`count` quick flashes, then dark."""
    return (*((True, 150), (False, 150)) * (count - 1), (True, 150), (False, dark_ms))


COUNTDOWN: tuple[Steps, ...] = tuple(even(ms) for ms in (150, 200, 250, 300, 400))
"""By whole seconds left, less one: the nearer, the faster."""

PROGRAMS: dict[Pattern, Program] = {
    Pattern.BOOTING: Program(even(500), "even blinking, every 1 s", "the system starts; nothing to do"),
    Pattern.UNCLAIMED: Program(
        winks(2, 1800), "lit, 2 winks every 2.3 s", "works, and nobody's key is on it: press, then log in"
    ),
    Pattern.PAIRING: Program(
        even(250), "even blinking, every 0.5 s", "looks for the other board; then the code's digits, in turns"
    ),
    Pattern.JOINING: Program(
        even(1000), "even blinking, every 2 s", "looks for its manager; the mesh is not there yet"
    ),
    Pattern.ONLINE: Program(
        ((True, 1800), (False, 200)), "lit, a wink every 2 s", "the mesh works from end to end; all is well"
    ),
    Pattern.DEGRADED: Program(
        quick(2, 1050), "2 quick flashes every 1.5 s", "viscript, node or mesh does not answer well: see `status`"
    ),
    Pattern.NO_TIME: Program(
        quick(3, 1250), "3 quick flashes every 2 s", "the clock was never set; connect it to the Internet"
    ),
    Pattern.UPDATING: Program(
        winks(3, 900), "lit, 3 winks every 1.7 s", "installs an update, or tries it out; leave it on"
    ),
    Pattern.ROLLED_BACK: Program(
        quick(4, 1450),
        "4 quick flashes every 2.5 s",
        "an update failed, the system before it runs; `update status --seen` ends it",
    ),
    Pattern.IDENTIFY: Program(even(150), "fast blinking for 10 s", "a short press: this is the board you look for"),
    Pattern.POWER_OR_HEAT: Program(
        ((True, 900), (False, 200), (True, 200), (False, 900)),
        "long, short, every 2.2 s",
        "low voltage or too hot: a better supply, cable, or air",
    ),
    Pattern.FAULT: Program(
        blink_code(3), "slow flashes, a pause: count", "needs a person; the count says what, see below"
    ),
    Pattern.COUNTDOWN: Program(
        COUNTDOWN[-1], "blinks faster and faster, 5 s", "held over 5 s: reset at 10 s; let go and nothing happens"
    ),
    Pattern.RESETTING: Program(
        ((True, 450), (False, 150)), "lit, a wink every 0.6 s", "factory reset; the board restarts by itself"
    ),
    Pattern.CONFIRMED: Program(((True, 750), (False, 250)), "3 long flashes", "yes: key taken, or joined"),
    Pattern.REFUSED: Program(quick(2, 550), "3 pairs of quick flashes", "no: not done; the log says why"),
    Pattern.SHUTTING_DOWN: Program(
        ((True, 150), (False, 550)), "short flashes every 0.7 s", "powering off or restarting; do not unplug yet"
    ),
    Pattern.SAFE_TO_UNPLUG: Program(((False, 1000),), "dark", "off: safe to unplug (or it has no power)"),
}

CAUSES: tuple[Cause, ...] = (
    Cause(3, "data-fault", "no data partition", "runs in RAM and keeps nothing: write the card anew, or replace it"),
    Cause(4, "setup-fault", "skywire.yaml is wrong", "skywire-error.txt beside it on the card says where; mend it"),
    Cause(5, "update-fault", "update refused", "not installed, nothing has changed: see `update status`"),
    Cause(6, "card-fault", "the card fails", "read or write errors: save what matters, replace the card"),
    Cause(7, "refused-fault", "manager refuses", "the manager will not admit this board: see `status`"),
)


def cause_of(code: str) -> Cause:
    """The row of a trouble's code. KeyError when there is none."""
    return next(cause for cause in CAUSES if cause.code == code)


def steps_of(show: Show) -> Steps:
    """The round to play: a fault's is made of its code, pairing's of its digits, the countdown's of what is left."""
    if show.pattern is Pattern.FAULT and show.blinks:
        return blink_code(show.blinks)
    if show.pattern is Pattern.COUNTDOWN and show.blinks:
        return COUNTDOWN[min(show.blinks, len(COUNTDOWN)) - 1]
    if show.pattern is Pattern.PAIRING and show.code:
        return pairing_code(show.code)
    return PROGRAMS[show.pattern].steps


def pairing_code(code: str) -> Steps:
    """The pairing pattern, a pause, then each digit as so many slow flashes; a nought is one long flash."""
    begin = (*PROGRAMS[Pattern.PAIRING].steps * PAIRING_ROUNDS, (False, CODE_PAUSE_MS))
    digits = [
        blink_code(int(digit)) if digit != "0" else ((True, ZERO_ON_MS), (False, CODE_PAUSE_MS)) for digit in code
    ]
    return tuple(step for part in (begin, *digits) for step in part)
