"""The brain as a table of stories, and as properties over every sequence of events."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skywire_board.acts import IDENTIFY_S
from skywire_board.brain import BOOT_NOTE_S, decide, next_wake_s
from skywire_board.checking import CHECKS, DATA, VISCRIPT
from skywire_board.keeping import FAILURES_TO_RESTART, START_GRACE_S
from skywire_board.model import (
    Act,
    ActionFailed,
    ArmWatchdog,
    Asked,
    ButtonLost,
    ButtonPressed,
    ButtonReleased,
    CheckFailed,
    CheckPassed,
    Event,
    FlashActivity,
    LineClosed,
    MarkGood,
    Pattern,
    PowerOff,
    Report,
    RestartViscript,
    RunCheck,
    Said,
    Saying,
    Show,
    StartUnit,
    StartViscript,
    TimePassed,
    Unit,
)
from skywire_board.presses import DOUBLE_WINDOW_S
from skywire_board.showing import BOOT_PATIENCE_S
from tests.skywire_board.stories import ABSENT, HUNG, KNOWN, NO_DATA, TROUBLED, online, shown, tell, wait


def test_start_blinks_starts_viscript_and_checks() -> None:
    _, effects = tell()
    assert effects == [StartViscript(), *(RunCheck(name) for name in CHECKS), Show(Pattern.BOOTING)]


def test_first_answer_means_online_and_good_once() -> None:
    state, effects = tell(*KNOWN, CheckPassed(8.0, VISCRIPT))
    assert effects[-1] == Show(Pattern.ONLINE)
    assert effects.count(MarkGood()) == 1
    assert effects.count(ArmWatchdog()) == 1
    _, more = wait(state, 100.0)
    assert MarkGood() not in more
    assert ArmWatchdog() not in more
    assert more.count(FlashActivity()) == 10
    assert shown(more) == []


def test_booting_lasts_while_viscript_starts_then_degraded_and_a_restart() -> None:
    state, _ = tell(*KNOWN, CheckFailed(0.1, VISCRIPT, ABSENT))
    state, early = wait(state, START_GRACE_S - 3, ABSENT)
    assert shown(early) == []
    assert not any(isinstance(effect, RestartViscript) for effect in early)
    state, late = wait(state, BOOT_PATIENCE_S + 1, ABSENT)
    assert shown(late) == [Pattern.DEGRADED]
    assert sum(isinstance(effect, RestartViscript) for effect in late) == 1


def test_hung_viscript_is_restarted_after_a_few_failures_and_then_less_often() -> None:
    state, effects = wait(online(), 12 + 2 * FAILURES_TO_RESTART, HUNG)
    assert sum(isinstance(effect, RestartViscript) for effect in effects) == 1
    assert shown(effects) == [Pattern.DEGRADED]
    _, later = wait(state, 3600.0, HUNG)
    assert 5 < sum(isinstance(effect, RestartViscript) for effect in later) < 40


def test_dead_viscript_is_left_to_systemd_for_a_while() -> None:
    state, effects = wait(online(), START_GRACE_S - 1, ABSENT)
    assert not any(isinstance(effect, RestartViscript) for effect in effects)
    state, effects = decide(state, CheckPassed(START_GRACE_S, VISCRIPT))
    assert shown(effects) == [Pattern.ONLINE]
    assert Report("over: viscript does not answer") in effects


def test_viscript_in_trouble_has_answered_and_only_shows_it() -> None:
    """A typo of the owner must neither restart viscript nor take the slot its tries."""
    state, effects = tell(*KNOWN, CheckFailed(8.0, VISCRIPT, TROUBLED))
    assert state.booted
    state, later = wait(state, 3600.0, TROUBLED)
    effects += later
    assert effects.count(MarkGood()) == 1
    assert not any(isinstance(effect, RestartViscript) for effect in effects)
    assert shown(effects) == [Pattern.BOOTING, Pattern.DEGRADED]
    assert effects.count(Report("viscript is in trouble: config.yaml: no such key 'prot'", bad=True)) == 1
    state, effects = decide(state, CheckPassed(3601.0, VISCRIPT))
    assert shown(effects) == [Pattern.ONLINE]
    assert Report("over: viscript is in trouble") in effects


def test_viscript_in_trouble_ends_a_row_of_failures() -> None:
    events = [CheckFailed(2.0 + at_s, VISCRIPT, TROUBLED if at_s % 3 == 2 else HUNG) for at_s in range(300)]
    _, effects = tell(*events, state=online())
    assert not any(isinstance(effect, RestartViscript) for effect in effects)


def test_systemctl_that_failed_is_tried_again_soon() -> None:
    state, _ = tell(CheckFailed(0.1, VISCRIPT, ABSENT), ActionFailed(1.0, StartViscript(), "no such file"))
    _, effects = wait(state, 20.0, ABSENT)
    assert any(isinstance(effect, RestartViscript) for effect in effects)


@pytest.mark.parametrize("failed", [ButtonLost(1.0, "gone"), ActionFailed(1.0, MarkGood(), "no such unit")])
def test_what_failed_besides_does_not_shorten_the_grace_of_viscript(failed: Event) -> None:
    state, effects = tell(CheckFailed(0.1, VISCRIPT, ABSENT), failed)
    assert sum(isinstance(effect, Report) and effect.bad for effect in effects) == 2
    _, effects = wait(state, START_GRACE_S - 3, ABSENT)
    assert not any(isinstance(effect, RestartViscript) for effect in effects)


def test_short_press_identifies_for_a_while() -> None:
    state, _ = tell(ButtonReleased(2.0), ButtonPressed(5.0), ButtonReleased(5.2), state=online())
    state, effects = wait(state, 5.2 + DOUBLE_WINDOW_S + 0.01)
    assert shown(effects) == [Pattern.IDENTIFY]
    _, effects = wait(state, 6.0 + IDENTIFY_S)
    assert shown(effects) == [Pattern.ONLINE]


def test_double_press_powers_off_and_nothing_else_happens_after() -> None:
    presses: list[ButtonPressed | ButtonReleased] = [
        ButtonPressed(5.0),
        ButtonReleased(5.1),
        ButtonPressed(5.3),
        ButtonReleased(5.4),
    ]
    state, effects = tell(ButtonReleased(2.0), *presses, state=online())
    assert effects[-2:] == [PowerOff(), Show(Pattern.SHUTTING_DOWN)]
    later: list[Event] = [
        CheckFailed(20.0, VISCRIPT, ABSENT),
        *[replace(p, at_s=p.at_s + 30) for p in presses],
    ]
    state, effects = tell(*later, TimePassed(99.0), state=state)
    assert not any(isinstance(effect, PowerOff | RestartViscript | RunCheck | Show) for effect in effects)


def test_power_off_that_failed_leaves_a_board_that_works() -> None:
    presses = [kind(at_s) for at_s in (5.0, 5.3) for kind in (ButtonPressed, lambda at_s: ButtonReleased(at_s + 0.1))]
    state, _ = tell(ButtonReleased(2.0), *presses, state=online())
    state, effects = decide(state, ActionFailed(35.0, PowerOff(), "'systemctl poweroff' took over 30 s"))
    assert effects == [
        Report("still running, press twice to try again: 'systemctl poweroff' took over 30 s", bad=True),
        *(RunCheck(name) for name in CHECKS if name != DATA),
        Show(Pattern.ONLINE),
    ]
    state, effects = tell(*[replace(press, at_s=press.at_s + 35) for press in presses], state=state)
    assert effects[-2:] == [PowerOff(), Show(Pattern.SHUTTING_DOWN)]


def test_press_while_booting_counts_too() -> None:
    _, effects = tell(ButtonReleased(1.0), ButtonPressed(2.0), ButtonReleased(2.1), TimePassed(3.0))
    assert shown(effects) == [Pattern.BOOTING, Pattern.IDENTIFY]
    assert StartUnit(Unit.CLAIM) in effects


def test_held_since_power_on_is_reported_once_and_never_acts() -> None:
    state, effects = tell(ButtonPressed(1.0), state=online())
    assert [effect.text for effect in effects if isinstance(effect, Report)] == [
        "button stuck: held since power-on or for over 30 s; it is ignored until it is released"
    ]
    assert state.troubles[0].trouble.code == "button-stuck"
    state, effects = tell(ButtonReleased(2.0), TimePassed(9.0), state=state)
    assert state.troubles == ()
    assert shown(effects) == []


def test_data_fault_blinks_its_code_once_the_board_is_up() -> None:
    _, effects = tell(*KNOWN, CheckFailed(0.5, DATA, NO_DATA), CheckPassed(5.0, VISCRIPT))
    assert effects[-1] == Show(Pattern.FAULT, blinks=3)


def test_a_trouble_that_another_explains_is_not_shown() -> None:
    because = replace(ABSENT, depends_on="data-fault", visible_after_s=0.0)
    state, _ = tell(CheckFailed(1.5, VISCRIPT, because), CheckFailed(1.6, DATA, NO_DATA), state=online())
    assert state.shown == Show(Pattern.FAULT, blinks=3)


TROUBLES = st.sampled_from([ABSENT, HUNG, TROUBLED, NO_DATA])
MAKERS = st.one_of(
    st.sampled_from([TimePassed, ButtonPressed, ButtonReleased]),
    st.builds(lambda name: lambda at_s: CheckPassed(at_s, name), st.sampled_from([DATA, VISCRIPT])),
    st.builds(
        lambda name, bad: lambda at_s: CheckFailed(at_s, name, bad),
        st.sampled_from([DATA, VISCRIPT]),
        TROUBLES,
    ),
    st.builds(
        lambda action: lambda at_s: ActionFailed(at_s, action, "failed"),
        st.sampled_from([StartViscript(), RestartViscript("hung"), MarkGood()]),
    ),
    st.just(lambda at_s: ButtonLost(at_s, "gone")),
    st.builds(lambda act: lambda at_s: Asked(at_s, act), st.sampled_from([Act.SHORT, Act.PAIR, Act.RESET])),
    st.builds(
        lambda word, line: lambda at_s: Said(at_s, Saying(line, "x", word, blinks=4)),
        st.sampled_from(["pairing", "updating", "confirmed", "refused", "fault", "joining", "note"]),
        st.integers(1, 3),
    ),
    st.builds(lambda line: lambda at_s: LineClosed(at_s, line), st.integers(1, 3)),
)
PAUSES = st.one_of(st.floats(0.01, 1.0), st.floats(1.0, 400.0))
STORIES = st.lists(st.tuples(PAUSES, MAKERS), max_size=60)


def events_of(story: list[tuple[float, object]], start_s: float = 0.0) -> list[Event]:
    events = []
    at_s = start_s
    for pause_s, make in story:
        at_s += pause_s
        events.append(make(at_s))  # type: ignore[operator]
    return events


@given(STORIES)
@settings(max_examples=200)
def test_no_story_breaks_the_promises(story: list[tuple[float, object]]) -> None:
    state, effects = tell(*events_of(story))
    assert effects.count(MarkGood()) == (1 if state.booted and state.now_s >= state.booted_s + BOOT_NOTE_S else 0)
    assert sum(isinstance(effect, PowerOff) for effect in effects) == (1 if state.shutting_down else 0)
    shows = [effect for effect in effects if isinstance(effect, Show)]
    assert all(before != after for before, after in pairwise(shows))
    assert next_wake_s(state) > state.now_s


@given(STORIES)
@settings(max_examples=200)
def test_held_since_boot_never_acts(story: list[tuple[float, object]]) -> None:
    """Whatever else happens, as long as no release is ever seen the button does nothing."""
    events = [event for event in events_of(story) if not isinstance(event, ButtonReleased | Asked)]
    state, effects = tell(ButtonPressed(0.001), *events)
    assert Pattern.IDENTIFY not in shown(effects)
    assert not any(isinstance(effect, StartUnit) for effect in effects)
    assert not state.shutting_down


@given(st.lists(st.tuples(st.floats(30.0, 1000.0), st.floats(0.1, 100.0)), max_size=20))
def test_holds_of_half_a_minute_never_act(holds: list[tuple[float, float]]) -> None:
    at_s = 2.0
    events: list[Event] = [ButtonReleased(at_s)]
    for held_s, pause_s in holds:
        events += [ButtonPressed(at_s + pause_s), ButtonReleased(at_s + pause_s + held_s)]
        at_s += pause_s + held_s
    state, effects = tell(*events, TimePassed(at_s + 5), state=online())
    assert Pattern.IDENTIFY not in shown(effects)
    assert not state.shutting_down
