"""The words of the supervisor: events in the past tense, effects in the imperative, the patterns.

Everything here is frozen and holds no I/O. Times are seconds of the monotonic clock (`at_s`), carried by each
event: the brain never reads a clock. Doors make events, `brain.decide` makes effects, `loop` hands one to the
other.
"""

from dataclasses import dataclass
from enum import Enum


class Pattern(Enum):
    """What the status light says. The programs and their texts are in `patterns`."""

    BOOTING = "booting"
    UNCLAIMED = "unclaimed"
    PAIRING = "pairing"
    JOINING = "joining"
    ONLINE = "online"
    DEGRADED = "degraded"
    NO_TIME = "no_time"
    UPDATING = "updating"
    ROLLED_BACK = "rolled_back"
    IDENTIFY = "identify"
    POWER_OR_HEAT = "power_or_heat"
    FAULT = "fault"
    COUNTDOWN = "countdown"
    RESETTING = "resetting"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    SHUTTING_DOWN = "shutting_down"
    SAFE_TO_UNPLUG = "safe_to_unplug"


class Severity(Enum):
    """How bad a trouble is: NOTE is only logged, WARN shows as its pattern, FAULT blinks its code."""

    NOTE = "note"
    WARN = "warn"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong, as data: LEDs, log and shell only render it.

    `blinks` is the blink code of a FAULT (else 0); `depends_on` names the code of a trouble that hides this
    one; the trouble becomes visible when it has lasted `visible_after_s` seconds. `pattern` is how a WARN shows.
    """

    code: str
    title: str
    severity: Severity
    text: str
    blinks: int = 0
    depends_on: str = ""
    visible_after_s: float = 0.0
    pattern: Pattern = Pattern.DEGRADED


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether somebody's key is on the board."""

    is_claimed: bool


@dataclass(frozen=True, slots=True)
class Mesh:
    """What the node says of the mesh. `answers`: the node is there; `works`: the mesh does, from end to end."""

    answers: bool
    works: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Boot:
    """The slot that runs, and how it came to. `mesh_before`: the mesh worked before the update that is on trial;
    `rolled_back`: why the update before failed.
    """

    slot: str = ""
    trial: bool = False
    mesh_before: bool = False
    rolled_back: str = ""
    version: str = ""


Fact = Claim | Mesh | Boot


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: a trouble or none, and a fact or none."""

    trouble: Trouble | None = None
    fact: Fact | None = None


@dataclass(frozen=True, slots=True)
class Saying:
    """What somebody says on the board's socket, on the connection `line`; `api_words.Say` tells of the rest."""

    line: int
    source: str
    state: str
    text: str = ""
    code: str = ""
    blinks: int = 0


class Act(Enum):
    """What the person at the button wants, or that the button is stuck. The values are those of `api_words.Act`."""

    SHORT = "short"
    DOUBLE = "double"
    PAIR = "hold3"
    RESET = "hold10"
    CALLED_OFF = "release"
    STUCK = "stuck"


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
    """The health check `check` found nothing wrong, and perhaps a fact."""

    at_s: float
    check: str
    fact: Fact | None = None


@dataclass(frozen=True, slots=True)
class CheckFailed:
    """The health check `check` found `trouble`, and perhaps a fact."""

    at_s: float
    check: str
    trouble: Trouble
    fact: Fact | None = None


@dataclass(frozen=True, slots=True)
class ButtonLost:
    """The button's line cannot be read any more; no further press will come. `text` says why."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody says something on the board's socket, instead of what they said before."""

    at_s: float
    saying: Saying


@dataclass(frozen=True, slots=True)
class Followed:
    """The connection `line` wants to know what the button does."""

    at_s: float
    line: int


@dataclass(frozen=True, slots=True)
class LineClosed:
    """The connection `line` is gone, and with it what was said on it."""

    at_s: float
    line: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asks for what the button would do."""

    at_s: float
    act: Act


@dataclass(frozen=True, slots=True)
class ShutdownBegan:
    """The system goes down, whoever wanted it."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Show:
    """Play `pattern` on the status light. `blinks`: the code of a fault, or the seconds left of the countdown, else 0;
    `code`: the digits of a pairing.
    """

    pattern: Pattern
    blinks: int = 0
    code: str = ""


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


class Unit(Enum):
    """What the supervisor starts besides viscript, by its unit's name."""

    CLAIM = "skywire-claim.service"
    PAIRING = "skywire-pairing.service"
    FACTORY_RESET = "skywire-factory-reset.service"
    ROLL_BACK = "skywire-roll-back.service"


@dataclass(frozen=True, slots=True)
class StartUnit:
    """Ask systemd to start `unit`, without waiting for it."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class TellAct:
    """Tell the connections `lines` what the button did."""

    act: Act
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ArmWatchdog:
    """Open the hardware watchdog, if the board has one."""


@dataclass(frozen=True, slots=True)
class Report:
    """Write one line to the log; `bad` makes it a warning."""

    text: str
    bad: bool = False


Action = StartViscript | RestartViscript | MarkGood | PowerOff | StartUnit
Effect = Show | FlashActivity | RunCheck | Report | TellAct | ArmWatchdog | Action


@dataclass(frozen=True, slots=True)
class ActionFailed:
    """systemd could not be asked for `action`, or refused it; `text` says why."""

    at_s: float
    action: Action
    text: str


ButtonEvent = ButtonPressed | ButtonReleased | ButtonLost
SocketEvent = Said | Followed | LineClosed | Asked
Event = Started | TimePassed | ButtonEvent | SocketEvent | CheckPassed | CheckFailed | ActionFailed | ShutdownBegan
