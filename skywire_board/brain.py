"""The one decision of the supervisor: `decide(state, event) -> (state, effects)`. Pure: no clock, no I/O, no
log.

`next_wake_s(state)` says when a TimePassed is wanted, so that nothing has to be polled. The button's rules
are in `presses`, the light's choice in `show_of`; all times are constants below, in seconds.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from skywire_board.model import (
    ActionFailed,
    ButtonLost,
    ButtonPressed,
    ButtonReleased,
    CheckFailed,
    CheckPassed,
    CheckState,
    Effect,
    Event,
    FlashActivity,
    Keeping,
    MarkGood,
    Noticed,
    Pattern,
    PowerOff,
    Report,
    RestartViscript,
    RunCheck,
    Severity,
    Show,
    Started,
    StartViscript,
    State,
    TimePassed,
    Trouble,
)
from skywire_board.presses import STUCK, Act, press_event, press_wake_s

VISCRIPT = "viscript"
HUNG = "viscript-hung"  # it takes the question and does not answer
TROUBLED = "viscript-troubled"  # it answers that something is wrong, such as a typo in its config.yaml
DATA = "data"
CHECK_NAMES = (DATA, VISCRIPT)

CHECK_CALM_S = 10.0
CHECK_EAGER_S = 2.0
BOOT_PATIENCE_S = 180.0  # so long may the first answer take before the light says degraded
START_GRACE_S = 120.0  # so long may a start of viscript take before it counts as failed
RETRY_START_S = 10.0  # when systemctl itself failed
FAILURES_TO_RESTART = 3
BACKOFF_FIRST_S = 10.0
BACKOFF_MOST_S = 300.0
IDENTIFY_S = 10.0

Decision = tuple[State, list[Effect]]


def decide(state: State, event: Event) -> Decision:
    """What follows from `event` in `state`: the new state, and what to do, in order."""
    state = replace(state, now_s=max(state.now_s, event.at_s))
    state, effects = _HANDLERS[type(event)](state, event)
    state, due = _run_due_checks(state)
    show = show_of(state)
    effects = [*effects, *due]
    if show != state.shown:
        effects.append(show)
    return replace(state, shown=show), effects


def next_wake_s(state: State) -> float:
    """The moment of the next TimePassed: always in the future of `state`, at most a calm check away."""
    calm_s = state.now_s + CHECK_CALM_S
    moments = [check.due_s for check in state.checks if not check.running]
    moments += [state.identify_until_s, state.started_s + BOOT_PATIENCE_S, press_wake_s(state.button)]
    moments += [noticed.since_s + noticed.trouble.visible_after_s for noticed in state.troubles]
    return min([moment for moment in moments if moment > state.now_s], default=calm_s)


def show_of(state: State) -> Show:
    """The one pattern for `state`: a shutdown before an identify before trouble before boot and calm."""
    if state.shutting_down:
        return Show(Pattern.SHUTTING_DOWN)
    if state.now_s < state.identify_until_s:
        return Show(Pattern.IDENTIFY)
    if not state.booted and state.now_s < state.started_s + BOOT_PATIENCE_S:
        return Show(Pattern.BOOTING)
    visible = visible_troubles(state)
    codes = [trouble.blinks for trouble in visible if trouble.severity is Severity.FAULT]
    if codes:
        return Show(Pattern.FAULT, min(codes))
    if any(trouble.severity is Severity.WARN for trouble in visible):
        return Show(Pattern.DEGRADED)
    return Show(Pattern.RUNNING if state.booted else Pattern.BOOTING)


def visible_troubles(state: State) -> list[Trouble]:
    """The troubles that have lasted long enough and are not explained by another one."""
    codes = {noticed.trouble.code for noticed in state.troubles}
    return [
        noticed.trouble
        for noticed in state.troubles
        if state.now_s >= noticed.since_s + noticed.trouble.visible_after_s and noticed.trouble.depends_on not in codes
    ]


def _on_started(state: State, event: Started) -> Decision:
    checks = tuple(CheckState(name, event.at_s) for name in CHECK_NAMES)
    keeping = Keeping(grace_until_s=event.at_s + START_GRACE_S)
    return State(now_s=event.at_s, started_s=event.at_s, checks=checks, keeping=keeping), [StartViscript()]


def _on_time(state: State, event: TimePassed) -> Decision:
    return _on_button(state, event)


def _on_button(state: State, event: ButtonPressed | ButtonReleased | TimePassed) -> Decision:
    button, act = press_event(state.button, event)
    if button == state.button:
        return state, []
    state = replace(state, button=button)
    state, effects = _notice(state, "button", STUCK) if act is Act.STUCK else (state, [])
    if isinstance(event, ButtonReleased):
        state, over = _clear(state, "button")
        effects += over
    if act in (None, Act.STUCK) or state.shutting_down:
        return state, effects
    if act is Act.SHORT:
        return replace(state, identify_until_s=event.at_s + IDENTIFY_S), [
            *effects,
            Report("button: short press, identifying"),
        ]
    return replace(state, shutting_down=True), [
        *effects,
        Report("button: double press, powering off"),
        PowerOff(),
    ]


def _on_passed(state: State, event: CheckPassed) -> Decision:
    state, effects = _clear(state, event.check)
    state = _answer(state, event.check, failed=False, due_s=event.at_s + CHECK_CALM_S)
    if event.check != VISCRIPT:
        return state, effects
    state, more = _heard_viscript(state, event.at_s)
    return state, effects + more


def _heard_viscript(state: State, at_s: float) -> Decision:
    """viscript answered: the first time means that the slot is good."""
    effects: list[Effect] = [FlashActivity()]
    if not state.booted:
        effects += [
            Report(f"viscript answers, {at_s - state.started_s:.1f} s after the supervisor's start"),
            MarkGood(),
        ]
    return replace(state, booted=True, keeping=Keeping(answered=True)), effects


def _on_failed(state: State, event: CheckFailed) -> Decision:
    state, effects = _notice(state, event.check, event.trouble)
    if event.trouble.code == TROUBLED:
        # Its owner's to mend: neither a restart nor an older system would cure it.
        state = _answer(state, event.check, failed=False, due_s=event.at_s + CHECK_CALM_S)
        state, more = _heard_viscript(state, event.at_s)
        return state, effects + more
    state = _answer(state, event.check, failed=True, due_s=event.at_s + CHECK_EAGER_S)
    if event.check != VISCRIPT or state.shutting_down:
        return state, effects
    state, restart = _keep_viscript(state, event)
    return state, effects + restart


def _keep_viscript(state: State, event: CheckFailed) -> Decision:
    """A hung viscript is restarted after some failures; a dead one is systemd's, and only after long ours."""
    keeping, at_s = state.keeping, event.at_s
    if keeping.answered and event.trouble.code != HUNG:
        keeping = replace(keeping, answered=False, grace_until_s=at_s + START_GRACE_S)
    failed = next(check.failed for check in state.checks if check.name == VISCRIPT)
    patient = not keeping.answered and at_s < keeping.grace_until_s
    if failed < FAILURES_TO_RESTART or patient or at_s < keeping.not_before_s:
        return replace(state, keeping=keeping), []
    backoff_s = min(BACKOFF_FIRST_S * 2**keeping.restarts, BACKOFF_MOST_S)
    keeping = Keeping(grace_until_s=at_s + START_GRACE_S, not_before_s=at_s + backoff_s, restarts=keeping.restarts + 1)
    return replace(state, keeping=keeping), [RestartViscript(event.trouble.text)]


def _on_button_lost(state: State, event: ButtonLost) -> Decision:
    return state, [Report(event.text, bad=True)]


def _on_action_failed(state: State, event: ActionFailed) -> Decision:
    """A power-off that failed leaves the board at work, a start that failed is soon tried again."""
    match event.action:
        case PowerOff():
            state = replace(state, shutting_down=False)
            return state, [Report(f"still running, press twice to try again: {event.text}", bad=True)]
        case StartViscript() | RestartViscript():
            soon_s = min(state.keeping.grace_until_s, event.at_s + RETRY_START_S)
            state = replace(state, keeping=replace(state.keeping, grace_until_s=soon_s))
    return state, [Report(event.text, bad=True)]


def _run_due_checks(state: State) -> Decision:
    """Start every check that is due; none once the system goes down."""
    due = [check for check in state.checks if not check.running and state.now_s >= check.due_s]
    if not due or state.shutting_down:
        return state, []
    checks = tuple(replace(check, running=True) if check in due else check for check in state.checks)
    return replace(state, checks=checks), [RunCheck(check.name) for check in due]


def _answer(state: State, name: str, *, failed: bool, due_s: float) -> State:
    checks = tuple(
        replace(check, running=False, due_s=due_s, failed=check.failed + 1 if failed else 0)
        if check.name == name
        else check
        for check in state.checks
    )
    return replace(state, checks=checks)


def _notice(state: State, source: str, trouble: Trouble) -> Decision:
    """Remember `trouble` as the one of `source`; report it only when it is new."""
    old = next((noticed for noticed in state.troubles if noticed.source == source), None)
    if old is not None and old.trouble.code == trouble.code:
        return state, []
    since_s = old.since_s if old is not None else state.now_s
    others = tuple(noticed for noticed in state.troubles if noticed.source != source)
    report = Report(f"{trouble.title}: {trouble.text}", bad=True)
    return replace(state, troubles=(*others, Noticed(source, trouble, since_s))), [report]


def _clear(state: State, source: str) -> Decision:
    gone = [noticed for noticed in state.troubles if noticed.source == source]
    if not gone:
        return state, []
    others = tuple(noticed for noticed in state.troubles if noticed.source != source)
    return replace(state, troubles=others), [Report(f"over: {noticed.trouble.title}") for noticed in gone]


_HANDLERS: dict[type, Callable[[State, Any], Decision]] = {
    Started: _on_started,
    TimePassed: _on_time,
    ButtonPressed: _on_button,
    ButtonReleased: _on_button,
    ButtonLost: _on_button_lost,
    CheckPassed: _on_passed,
    CheckFailed: _on_failed,
    ActionFailed: _on_action_failed,
}
