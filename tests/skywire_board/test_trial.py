"""An update's trial: the verdict for every story of health, and what the brain does about it."""

import math

from hypothesis import given
from hypothesis import strategies as st

from skywire_board.checking import BOOT, MESH, VISCRIPT
from skywire_board.feeding import SHUTDOWN_S, why_starve
from skywire_board.model import (
    Act,
    ActionFailed,
    Asked,
    Boot,
    CheckFailed,
    CheckPassed,
    Effect,
    MarkGood,
    Mesh,
    Pattern,
    StartUnit,
    Unit,
)
from skywire_board.state import State, Trial, Verdict
from skywire_board.trial import RETRY_S, STEADY_S, TRIAL_S, Health, is_well, judge, trial_wake_s
from tests.skywire_board.stories import ABSENT, KNOWN, LOST, WORKS, shown, tell, wait

BOOTS = st.builds(Boot, slot=st.sampled_from("AB"), trial=st.booleans(), mesh_before=st.booleans())
HEALTHS = st.builds(Health, st.booleans(), st.booleans(), st.booleans())
STORIES = st.lists(st.tuples(st.floats(0.1, 120.0), HEALTHS), max_size=40)
ALL_WELL = Health(viscript=True, node=True, mesh=True)


@given(BOOTS, STORIES)
def test_the_verdict_follows_from_the_story(boot: Boot, story: list[tuple[float, Health]]) -> None:
    """Good exactly when all was well for long enough before the time ran out; failed exactly when not; given once."""
    trial, now_s, well_since_s = Trial(), 0.0, math.inf
    expected = Verdict.OPEN if boot.trial else Verdict.NONE
    for pause_s, health in story:
        now_s += pause_s
        trial = judge(trial, boot, health, now_s)
        well_since_s = min(well_since_s, now_s) if is_well(health, boot) else math.inf
        if expected is Verdict.OPEN:
            if now_s - well_since_s >= STEADY_S:
                expected = Verdict.GOOD
            elif now_s >= TRIAL_S:
                expected = Verdict.FAILED
        assert trial.verdict is expected
        if trial.verdict is Verdict.OPEN:
            assert now_s < trial_wake_s(trial) <= TRIAL_S


@given(HEALTHS, st.booleans())
def test_each_lack_alone_is_enough(health: Health, mesh_before: bool) -> None:
    well = health.viscript and health.node and (health.mesh or not mesh_before)
    assert is_well(health, Boot("B", trial=True, mesh_before=mesh_before)) is well


def test_a_break_begins_the_waiting_anew() -> None:
    boot = Boot("B", trial=True)
    trial = judge(Trial(), boot, ALL_WELL, 10.0)
    trial = judge(trial, boot, Health(viscript=True, node=False, mesh=True), 10.0 + STEADY_S - 1)
    trial = judge(trial, boot, ALL_WELL, 10.0 + STEADY_S)
    assert trial.verdict is Verdict.OPEN
    assert judge(trial, boot, ALL_WELL, 10.0 + 2 * STEADY_S).verdict is Verdict.GOOD


def test_a_supervisor_that_was_restarted_gives_no_more_time() -> None:
    """The clock counts from power-on, not from the supervisor's start."""
    boot = Boot("B", trial=True)
    assert judge(Trial(), boot, Health(viscript=False, node=True, mesh=True), TRIAL_S).verdict is Verdict.FAILED


# in the brain


def begin(boot: Boot, mesh: Mesh) -> State:
    return tell(CheckPassed(0.1, BOOT, boot), CheckPassed(0.2, MESH, mesh))[0]


def done(effects: list[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect, MarkGood | StartUnit)]


def test_a_good_update_is_marked_after_a_while_and_shown_until_then() -> None:
    boot = Boot("B", trial=True, mesh_before=True)
    state, effects = tell(CheckPassed(5.0, VISCRIPT), state=begin(boot, WORKS))
    assert shown(effects) == [Pattern.UPDATING]
    assert done(effects) == []
    state, effects = wait(state, 60.0, boot=boot)
    assert done(effects) == [MarkGood()]
    assert state.trial.verdict is Verdict.GOOD
    assert state.shown is not None
    assert state.shown.pattern is Pattern.ONLINE
    assert done(wait(state, 2000.0, mesh=LOST, boot=Boot("B"))[1]) == []


def test_an_update_that_lost_the_mesh_is_rolled_back() -> None:
    boot = Boot("B", trial=True, mesh_before=True)
    state, _ = tell(CheckPassed(5.0, VISCRIPT), state=begin(boot, LOST))
    state, effects = wait(state, TRIAL_S - 1, mesh=LOST, boot=boot)
    assert done(effects) == []
    state, effects = wait(state, TRIAL_S + RETRY_S - 1, mesh=LOST, boot=boot)
    assert done(effects) == [StartUnit(Unit.ROLL_BACK)]
    assert shown(effects) == [Pattern.ROLLED_BACK]
    assert [noticed.trouble.text for noticed in state.troubles] == ["the mesh does not work, and did before"]


def test_a_roll_back_that_does_not_happen_is_asked_for_again_and_then_forced() -> None:
    """Its unit may fail after systemd took the order; the watchdog is armed from the trial's beginning."""
    boot = Boot("B", trial=True)
    state, effects = tell(*KNOWN, CheckPassed(0.6, BOOT, boot), CheckFailed(5.0, VISCRIPT, ABSENT))
    assert state.armed
    state, _ = wait(state, TRIAL_S + 1, ABSENT, boot=boot)
    failed = ActionFailed(TRIAL_S + 2, StartUnit(Unit.ROLL_BACK), "no such unit")
    state, effects = tell(failed, state=state)
    state, more = wait(state, TRIAL_S + 2.5 * RETRY_S, ABSENT, boot=boot)
    assert done(effects + more) == [StartUnit(Unit.ROLL_BACK)] * 2
    assert why_starve(state, TRIAL_S + 250) == ""
    assert "not rolled back" in why_starve(state, TRIAL_S + SHUTDOWN_S)


def test_a_mesh_that_was_not_there_before_is_not_asked_for() -> None:
    boot = Boot("B", trial=True, mesh_before=False)
    state, _ = tell(CheckPassed(5.0, VISCRIPT), state=begin(boot, LOST))
    assert done(wait(state, 60.0, mesh=LOST, boot=boot)[1]) == [MarkGood()]


def test_an_update_whose_viscript_never_answers_is_rolled_back() -> None:
    boot = Boot("B", trial=True)
    state, effects = tell(CheckFailed(5.0, VISCRIPT, ABSENT), state=begin(boot, WORKS))
    _, effects = wait(state, TRIAL_S + 1, ABSENT, boot=boot)
    assert done(effects) == [StartUnit(Unit.ROLL_BACK)]


def test_a_late_note_of_the_boot_is_waited_for() -> None:
    """Marked good before the trial was known, a bad update would stay for ever."""
    state, effects = tell(CheckPassed(0.1, BOOT), CheckPassed(0.2, MESH, LOST), CheckPassed(5.0, VISCRIPT))
    state, more = wait(state, 30.0, mesh=LOST)
    assert done(effects + more) == []
    boot = Boot("B", trial=True, mesh_before=True)
    _, effects = wait(state, TRIAL_S + 1, mesh=LOST, boot=boot)
    assert done(effects) == [StartUnit(Unit.ROLL_BACK)]


def test_nothing_is_judged_in_a_shutdown() -> None:
    boot = Boot("B", trial=True)
    state, _ = tell(CheckFailed(5.0, VISCRIPT, ABSENT), Asked(599.0, Act.DOUBLE), state=begin(boot, WORKS))
    assert done(wait(state, TRIAL_S + 60, ABSENT, boot=boot)[1]) == []
