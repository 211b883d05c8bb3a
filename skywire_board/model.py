"""The words of the supervisor: events in the past tense, effects in the imperative, the state, the patterns.

Everything here is frozen and holds no I/O. Times are seconds of the monotonic clock (`at_s`), carried by each
event: the brain never reads a clock. Doors make events, `brain.decide` makes effects, `loop` hands one to the
other.
"""

from dataclasses import dataclass
from enum import Enum


class Pattern(Enum):
    """What the status light says. The programs and their texts are in `patterns`."""

    BOOTING = "booting"
    RUNNING = "running"
    DEGRADED = "degraded"
    IDENTIFY = "identify"
    FAULT = "fault"
    SHUTTING_DOWN = "shutting_down"


class Severity(Enum):
    """How bad a trouble is: NOTE is only logged, WARN shows as degraded, FAULT blinks its code."""

    NOTE = "note"
    WARN = "warn"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong, as data: LEDs, log and shell only render it.

    `blinks` is the blink code of a FAULT (else 0); `depends_on` names the code of a trouble that hides this
    one; the trouble becomes visible when it has lasted `visible_after_s` seconds.
    """

    code: str
    title: str
    severity: Severity
    text: str
    blinks: int = 0
    depends_on: str = ""
    visible_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Started:
    """The supervisor runs; nothing is known yet."""

    at_s: float


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The moment that `brain.next_wake_s` asked for has come."""

    at_s: float


@dataclass(frozen=True, slots=True)
class ButtonPressed:
    """The debounced level became pressed, or was pressed when first seen."""

    at_s: float


@dataclass(frozen=True, slots=True)
class ButtonReleased:
    """The debounced level became released, or was released when first seen."""

    at_s: float


@dataclass(frozen=True, slots=True)
class CheckPassed:
    """The health check `check` found nothing wrong."""

    at_s: float
    check: str


@dataclass(frozen=True, slots=True)
class CheckFailed:
    """The health check `check` found `trouble`."""

    at_s: float
    check: str
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class ButtonLost:
    """The button's line cannot be read any more; no further press will come. `text` says why."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Show:
    """Play `pattern` on the status light; `blinks` is the code of a fault, else 0."""

    pattern: Pattern
    blinks: int = 0


@dataclass(frozen=True, slots=True)
class FlashActivity:
    """One short flash of the activity light."""


@dataclass(frozen=True, slots=True)
class RunCheck:
    """Run the health check `check`; its answer comes back as CheckPassed or CheckFailed."""

    check: str


@dataclass(frozen=True, slots=True)
class StartViscript:
    """Ask systemd to start viscript's unit."""


@dataclass(frozen=True, slots=True)
class RestartViscript:
    """Ask systemd to restart viscript's unit; `why` goes to the log."""

    why: str


@dataclass(frozen=True, slots=True)
class MarkGood:
    """Mark the booted slot good, once per boot."""


@dataclass(frozen=True, slots=True)
class PowerOff:
    """Shut the system down safely."""


@dataclass(frozen=True, slots=True)
class Report:
    """Write one line to the log; `bad` makes it a warning."""

    text: str
    bad: bool = False


Action = StartViscript | RestartViscript | MarkGood | PowerOff
Effect = Show | FlashActivity | RunCheck | Report | Action


@dataclass(frozen=True, slots=True)
class ActionFailed:
    """systemd could not be asked for `action`, or refused it; `text` says why."""

    at_s: float
    action: Action
    text: str


ButtonEvent = ButtonPressed | ButtonReleased | ButtonLost
Event = Started | TimePassed | ButtonEvent | CheckPassed | CheckFailed | ActionFailed


class Press(Enum):
    """What the button does. WAITING: nothing stable was seen yet. STUCK: held since power-on, or too long."""

    WAITING = "waiting"
    STUCK = "stuck"
    UP = "up"
    DOWN = "down"
    UP_AFTER_ONE = "up_after_one"
    DOWN_AGAIN = "down_again"


@dataclass(frozen=True, slots=True)
class Button:
    """The button as the brain sees it; `since_s` is when `press` began."""

    press: Press = Press.WAITING
    since_s: float = 0.0


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


@dataclass(frozen=True, slots=True)
class State:
    """All that the brain remembers. `now_s`: the time of the last event; `shown`: the last Show."""

    now_s: float = 0.0
    started_s: float = 0.0
    booted: bool = False
    shutting_down: bool = False
    identify_until_s: float = 0.0
    button: Button = Button()
    keeping: Keeping = Keeping()
    checks: tuple[CheckState, ...] = ()
    troubles: tuple[Noticed, ...] = ()
    shown: Show | None = None
