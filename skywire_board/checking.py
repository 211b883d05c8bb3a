"""When which health check is run. Pure.

Calm checks fall due on whole multiples of their period, so that they share one waking of the processor.
"""

from dataclasses import dataclass, replace

from skywire_board.model import Effect, RunCheck
from skywire_board.state import State

BOOT, CARD, CLAIM, DATA, HEAT, MESH, POWER, SETUP, TIME, VISCRIPT = (
    *("boot", "card", "claim", "data", "heat", "mesh", "power", "setup", "time", "viscript"),
)


@dataclass(frozen=True, slots=True)
class Period:
    """Seconds to the next run, after it passed and after it failed."""

    calm_s: float
    eager_s: float


CHECKS: dict[str, Period] = {
    DATA: Period(60.0, 10.0),
    VISCRIPT: Period(10.0, 2.0),
    MESH: Period(10.0, 5.0),
    BOOT: Period(10.0, 5.0),
    CLAIM: Period(10.0, 5.0),
    SETUP: Period(30.0, 10.0),
    TIME: Period(30.0, 10.0),
    POWER: Period(10.0, 5.0),
    HEAT: Period(30.0, 10.0),
    CARD: Period(30.0, 10.0),
}


def ask_due(state: State) -> tuple[State, list[Effect]]:
    """Start every check that is due; none once the system goes down."""
    due = [check for check in state.checks if not check.running and state.now_s >= check.due_s]
    if not due or state.shutting_down:
        return state, []
    checks = tuple(replace(check, running=True) if check in due else check for check in state.checks)
    return replace(state, checks=checks), [RunCheck(check.name) for check in due]


def answered(state: State, name: str, *, failed: bool) -> State:
    """The check has its answer; it is due again after its period."""
    due_s = due_of(CHECKS[name], state.now_s, failed=failed)
    checks = tuple(
        replace(check, running=False, due_s=due_s, failed=check.failed + 1 if failed else 0)
        if check.name == name
        else check
        for check in state.checks
    )
    return replace(state, checks=checks)


def due_of(period: Period, now_s: float, *, failed: bool) -> float:
    if failed:
        return now_s + period.eager_s
    return (now_s // period.calm_s + 1) * period.calm_s
