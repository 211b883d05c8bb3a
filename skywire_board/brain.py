"""The one decision of the supervisor: `decide(state, event) -> (state, effects)`. Pure: no clock, no I/O, no
log.

`next_wake_s(state)` says when a TimePassed is wanted, so that nothing has to be polled. The button's rules are in
`presses`, the light's choice in `showing`, an update's judgement in `trial`, viscript's restarts in `keeping`.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from skywire_board import keeping
from skywire_board.acts import carry
from skywire_board.checking import CHECKS, DATA, VISCRIPT, answered, ask_due
from skywire_board.keeping import START_GRACE_S
from skywire_board.model import (
    Act,
    ActionFailed,
    ArmWatchdog,
    Asked,
    Boot,
    ButtonLost,
    ButtonPressed,
    ButtonReleased,
    CheckFailed,
    CheckPassed,
    Claim,
    Effect,
    Event,
    Fact,
    FlashActivity,
    Followed,
    LineClosed,
    MarkGood,
    Mesh,
    Pattern,
    PowerOff,
    Report,
    RestartViscript,
    Said,
    Severity,
    ShutdownBegan,
    Started,
    StartUnit,
    StartViscript,
    TimePassed,
    Trouble,
    Unit,
)
from skywire_board.noticing import clear, notice
from skywire_board.presses import STUCK, press_event
from skywire_board.showing import show_of, show_wake_s
from skywire_board.state import CheckState, Flash, Keeping, State, Verdict
from skywire_board.trial import RETRY_S, Health, judge, trial_wake_s, why_failed

__all__ = ["DATA", "VISCRIPT", "decide", "health_of", "next_wake_s", "show_of"]

CALM_S = 10.0
FLASH_S = 3.0
BOOT_NOTE_S = 60.0  # so long is waited for the note of the boot before it counts as no trial
MESH_LOST_S = 20.0

Decision = tuple[State, list[Effect]]


def decide(state: State, event: Event) -> Decision:
    """What follows from `event` in `state`: the new state, and what to do, in order."""
    state = replace(state, now_s=max(state.now_s, event.at_s))
    state, effects = _HANDLERS[type(event)](state, event)
    state, judged = _judge(state)
    state, armed = _arm(state)
    state, due = ask_due(state)
    show = show_of(state)
    effects = [*effects, *judged, *armed, *due]
    if show != state.shown:
        effects.append(show)
        state = replace(state, shown=show, shown_since_s=state.now_s)
    return state, effects


def next_wake_s(state: State) -> float:
    """The moment of the next TimePassed: always in the future of `state`, at most a calm check away."""
    moments = [state.now_s + CALM_S, trial_wake_s(state.trial), *show_wake_s(state)]
    moments += [check.due_s for check in state.checks if not check.running]
    if state.booted and not state.marked and state.boot is None:
        moments.append(state.booted_s + BOOT_NOTE_S)
    return min(moment for moment in moments if moment > state.now_s)


def health_of(state: State) -> Health:
    """What is known now of what an update is judged by."""
    mesh = state.mesh or Mesh(answers=False, works=False)
    return Health(viscript=state.keeping.answered, node=mesh.answers, mesh=mesh.works)


def _judge(state: State) -> Decision:
    """Mark the slot good, once, or have it rolled back."""
    if not state.started or state.shutting_down:
        return state, []
    health, before = health_of(state), state.trial
    state = replace(state, trial=judge(before, state.boot, health, state.now_s))
    verdict = state.trial.verdict
    if verdict is Verdict.FAILED and (before.verdict is not verdict or state.now_s >= before.retry_s):
        state = replace(state, trial=replace(state.trial, retry_s=state.now_s + RETRY_S))
        why = why_failed(health, state.boot or Boot())
        said = Report(f"the update has failed its trial, rolling back: {why}", bad=True)
        trouble = Trouble(
            "trial-failed", "the update failed its trial", Severity.WARN, why, pattern=Pattern.ROLLED_BACK
        )
        state, _ = notice(state, "trial", trouble)
        return state, [said, StartUnit(Unit.ROLL_BACK)]
    known = state.boot is not None or state.now_s >= state.booted_s + BOOT_NOTE_S
    untried = verdict is Verdict.NONE and state.booted and known
    if state.marked or not (untried or verdict is Verdict.GOOD):
        return state, []
    told = [Report("the update is good: it has passed its trial")] if verdict is Verdict.GOOD else []
    return replace(state, marked=True), [*told, MarkGood()]


def _arm(state: State) -> Decision:
    """The watchdog is armed once the system is up; or when it may never be, so that it resets the board. Not sooner:
    the settings that leave it alone may have to be applied first. Before a trial they were.
    """
    is_late = state.now_s >= state.silent_since_s + START_GRACE_S * 2
    if state.armed or not (state.booted or is_late or (state.boot is not None and state.boot.trial)):
        return state, []
    return replace(state, armed=True), [ArmWatchdog()]


def _on_started(state: State, event: Started) -> Decision:
    checks = tuple(CheckState(name, event.at_s) for name in CHECKS)
    kept = Keeping(grace_until_s=event.at_s + START_GRACE_S)
    at_s = event.at_s
    state = State(now_s=at_s, started=True, started_s=at_s, silent_since_s=at_s, checks=checks, keeping=kept)
    return state, [StartViscript()]


def _on_button(state: State, event: ButtonPressed | ButtonReleased | TimePassed) -> Decision:
    button, act = press_event(state.button, event)
    if button == state.button:
        return state, []
    state = replace(state, button=button)
    state, effects = notice(state, "button", STUCK) if act is Act.STUCK else (state, [])
    if isinstance(event, ButtonReleased):
        state, over = clear(state, "button")
        effects += over
    if act is None or act is Act.STUCK:
        return state, effects
    state, more = carry(state, act)
    return state, effects + more


def _on_asked(state: State, event: Asked) -> Decision:
    return carry(state, event.act)


def _on_said(state: State, event: Said) -> Decision:
    saying = event.saying
    report = Report(f"{saying.source} says {saying.state}" + (f": {saying.text}" if saying.text else ""))
    if saying.state in ("confirmed", "refused"):
        pattern = Pattern.CONFIRMED if saying.state == "confirmed" else Pattern.REFUSED
        until_s = 0.0 if (saying.source, saying.state) == ("reset", "refused") else state.resetting_until_s
        return replace(state, flash=Flash(pattern, event.at_s + FLASH_S), resetting_until_s=until_s), [report]
    before = next((other for other in state.sayings if other.line == saying.line), None)
    others = tuple(other for other in state.sayings if other.line != saying.line)
    is_news = before is None or before.state != saying.state
    return replace(state, sayings=(*others, saying)), [report] if is_news else []


def _on_followed(state: State, event: Followed) -> Decision:
    return replace(state, followers=tuple({**dict.fromkeys(state.followers), event.line: None})), []


def _on_line_closed(state: State, event: LineClosed) -> Decision:
    sayings = tuple(saying for saying in state.sayings if saying.line != event.line)
    followers = tuple(line for line in state.followers if line != event.line)
    return replace(state, sayings=sayings, followers=followers), []


def _on_passed(state: State, event: CheckPassed) -> Decision:
    state, effects = clear(state, event.check)
    state = answered(state, event.check, failed=False)
    state, facts = _learn(state, event.fact)
    if event.check != VISCRIPT:
        return state, effects + facts
    state, more = _heard_viscript(state)
    return state, effects + more


def _heard_viscript(state: State) -> Decision:
    effects: list[Effect] = [FlashActivity()]
    if not state.booted:
        after_s = state.now_s - state.started_s
        effects.append(Report(f"viscript answers, {after_s:.1f} s after the supervisor's start"))
        state = replace(state, booted=True, booted_s=state.now_s)
    return replace(state, keeping=Keeping(answered=True), silent_since_s=math.inf), effects


def _on_failed(state: State, event: CheckFailed) -> Decision:
    state, effects = notice(state, event.check, event.trouble)
    state, facts = _learn(state, event.fact)
    effects += facts
    if event.trouble.code == keeping.TROUBLED:
        # Its owner's to mend: neither a restart nor an older system would cure it.
        state = answered(state, event.check, failed=False)
        state, more = _heard_viscript(state)
        return state, effects + more
    state = answered(state, event.check, failed=True)
    if event.check != VISCRIPT or state.shutting_down:
        return state, effects
    state = replace(state, silent_since_s=min(state.silent_since_s, state.now_s))
    state, restart = keeping.keep_viscript(state, event)
    return state, effects + restart


def _learn(state: State, fact: Fact | None) -> Decision:
    """A fact that a check brought."""
    match fact:
        case Claim(is_claimed):
            return replace(state, claimed=is_claimed), []
        case Boot():
            return replace(state, boot=fact), []
        case Mesh():
            state = replace(state, mesh=fact, mesh_worked=state.mesh_worked or fact.works)
            if fact.works or not state.mesh_worked or not fact.answers:
                return clear(state, "mesh-lost")
            text, late_s = fact.text, MESH_LOST_S
            lost = Trouble("mesh-lost", "the mesh works no more", Severity.WARN, text, visible_after_s=late_s)
            return notice(state, "mesh-lost", lost)
        case _:
            return state, []


def _on_shutdown(state: State, event: ShutdownBegan) -> Decision:
    since_s = min(state.shutting_down_since_s, event.at_s)
    return replace(state, shutting_down=True, shutting_down_since_s=since_s), [Report("the system goes down")]


def _on_button_lost(state: State, event: ButtonLost) -> Decision:
    return state, [Report(event.text, bad=True)]


def _on_action_failed(state: State, event: ActionFailed) -> Decision:
    """A power-off that failed leaves the board at work, a start that failed is soon tried again."""
    refused = Flash(Pattern.REFUSED, event.at_s + FLASH_S)
    match event.action:
        case PowerOff():
            state = replace(state, shutting_down=False, shutting_down_since_s=math.inf)
            return state, [Report(f"still running, press twice to try again: {event.text}", bad=True)]
        case StartViscript() | RestartViscript():
            soon_s = min(state.keeping.grace_until_s, event.at_s + keeping.RETRY_START_S)
            state = replace(state, keeping=replace(state.keeping, grace_until_s=soon_s))
        case StartUnit(Unit.FACTORY_RESET):
            state = replace(state, resetting_until_s=0.0, flash=refused)
        case StartUnit(Unit.PAIRING):
            state = replace(state, flash=refused)
    return state, [Report(event.text, bad=True)]


_HANDLERS: dict[type, Callable[[State, Any], Decision]] = {
    Started: _on_started,
    TimePassed: _on_button,
    ButtonPressed: _on_button,
    ButtonReleased: _on_button,
    ButtonLost: _on_button_lost,
    Asked: _on_asked,
    Said: _on_said,
    Followed: _on_followed,
    LineClosed: _on_line_closed,
    CheckPassed: _on_passed,
    CheckFailed: _on_failed,
    ActionFailed: _on_action_failed,
    ShutdownBegan: _on_shutdown,
}
