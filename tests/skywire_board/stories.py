"""Stories that are told to the brain: a board that is online, and time that passes as in the loop."""

from dataclasses import replace

from skywire_board.brain import decide, next_wake_s
from skywire_board.checking import BOOT, CARD, CLAIM, DATA, HEAT, MESH, POWER, SETUP, TIME, VISCRIPT
from skywire_board.model import (
    Boot,
    CheckFailed,
    CheckPassed,
    Claim,
    Effect,
    Event,
    Mesh,
    Pattern,
    RunCheck,
    Severity,
    Show,
    Started,
    TimePassed,
    Trouble,
)
from skywire_board.state import State

ABSENT = Trouble("viscript-absent", "viscript does not answer", Severity.WARN, "refused", visible_after_s=3)
HUNG = replace(ABSENT, code="viscript-hung", text="no answer")
TROUBLED = Trouble("viscript-troubled", "viscript is in trouble", Severity.WARN, "config.yaml: no such key 'prot'")
NO_DATA = Trouble("data-fault", "no data partition", Severity.FAULT, "gone", blinks=3)


def tell(*events: Event, state: State | None = None) -> tuple[State, list[Effect]]:
    """The state and all effects after `events`, from the start on."""
    told: list[Effect] = []
    if state is None:
        state, told = decide(State(), Started(0.0))
    for event in events:
        state, effects = decide(state, event)
        told += effects
    return state, told


WORKS = Mesh(answers=True, works=True, text="works: manager 1.2 ms")
LOST = Mesh(answers=True, works=False, text="NOT working: the manager does not answer")
KNOWN: tuple[Event, ...] = (
    CheckPassed(0.1, DATA),
    CheckPassed(0.2, CLAIM, Claim(is_claimed=True)),
    CheckPassed(0.3, MESH, WORKS),
    CheckPassed(0.4, BOOT, Boot("A")),
    *(CheckPassed(0.5, name) for name in (SETUP, TIME, POWER, HEAT, CARD)),
)
"""What is well before viscript answers."""


def online() -> State:
    """A board that is up, one second after the supervisor's start."""
    return tell(*KNOWN, CheckPassed(1.0, VISCRIPT))[0]


def shown(effects: list[Effect]) -> list[Pattern]:
    """The patterns in the order they were shown."""
    return [effect.pattern for effect in effects if isinstance(effect, Show)]


def wait(
    state: State, until_s: float, trouble: Trouble | None = None, mesh: Mesh | None = WORKS, boot: Boot | None = None
) -> tuple[State, list[Effect]]:
    """Let time pass until `until_s`, as the loop does; the checks answer at once, viscript with `trouble`."""
    told: list[Effect] = []
    facts = {CLAIM: Claim(is_claimed=True), MESH: mesh, BOOT: boot}
    while (at_s := next_wake_s(state)) <= until_s:
        state, effects = decide(state, TimePassed(at_s))
        told += effects
        for effect in effects:
            if isinstance(effect, RunCheck):
                bad = trouble if effect.check == VISCRIPT else None
                fact = facts.get(effect.check)
                answer = CheckFailed(at_s, effect.check, bad) if bad else CheckPassed(at_s, effect.check, fact)
                state, more = decide(state, answer)
                told += more
    return state, told
