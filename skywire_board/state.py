"""What the brain remembers, frozen: the button, the checks, the troubles, the trial. No rules are here.

Times are seconds of the monotonic clock, which counts from power-on: a supervisor that was restarted goes on with them.
"""

import math
from dataclasses import dataclass
from enum import Enum

from skywire_board.model import Boot, Mesh, Pattern, Saying, Show, Trouble


class Press(Enum):
    """What the button does. WAITING: nothing stable was seen yet. STUCK: held since power-on, or too long. SPENT: held
    for so long that its act is done.
    """

    WAITING = "waiting"
    STUCK = "stuck"
    UP = "up"
    DOWN = "down"
    SPENT = "spent"
    UP_AFTER_ONE = "up_after_one"
    DOWN_AGAIN = "down_again"


@dataclass(frozen=True, slots=True)
class Button:
    """The button as the brain sees it; `since_s` is when `press` began, `seen_s` when it was last looked at."""

    press: Press = Press.WAITING
    since_s: float = 0.0
    seen_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CheckState:
    """When the check `name` is due, whether its answer is awaited, and how often it failed in a row."""

    name: str
    due_s: float
    running: bool = False
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Noticed:
    """A trouble that the check (or input) `source` reports now, and since when."""

    source: str
    trouble: Trouble
    since_s: float


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the brain knows of viscript's unit.

    `answered`: it has answered since it was last started. Until `grace_until_s` a start may take its time;
    `not_before_s` and `restarts` are the back-off of restarts.
    """

    answered: bool = False
    grace_until_s: float = 0.0
    not_before_s: float = 0.0
    restarts: int = 0


class Verdict(Enum):
    """Of an update on trial: NONE where there is no trial, OPEN while it lasts."""

    NONE = ""
    OPEN = "trial"
    GOOD = "good"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Trial:
    """`well_since_s`: since when all that is asked of the update is so, infinity when it is not; `retry_s`: when a
    roll-back that has not happened is asked for again.
    """

    verdict: Verdict = Verdict.NONE
    well_since_s: float = math.inf
    retry_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Flash:
    """A short answer on the light."""

    pattern: Pattern
    until_s: float


@dataclass(frozen=True, slots=True)
class State:
    """All that the brain remembers. `now_s`: the time of the last event; `shown`: the last Show, since `shown_since_s`;
    `silent_since_s`: since when viscript does not answer, infinity while it does.
    """

    now_s: float = 0.0
    started: bool = False
    started_s: float = 0.0
    booted: bool = False
    booted_s: float = math.inf
    marked: bool = False
    shutting_down: bool = False
    shutting_down_since_s: float = math.inf
    resetting_until_s: float = 0.0
    identify_until_s: float = 0.0
    flash: Flash | None = None
    button: Button = Button()
    keeping: Keeping = Keeping()
    checks: tuple[CheckState, ...] = ()
    troubles: tuple[Noticed, ...] = ()
    sayings: tuple[Saying, ...] = ()
    followers: tuple[int, ...] = ()
    claimed: bool | None = None
    mesh: Mesh | None = None
    mesh_worked: bool = False
    boot: Boot | None = None
    trial: Trial = Trial()
    silent_since_s: float = math.inf
    armed: bool = False
    shown: Show | None = None
    shown_since_s: float = 0.0
