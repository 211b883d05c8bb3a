"""The brain and what it is told beside the checks: on the board's socket, by the button's holds, by facts."""

from skywire_board.brain import BOOT_NOTE_S, FLASH_S, MESH_LOST_S, decide
from skywire_board.checking import CLAIM, MESH, VISCRIPT
from skywire_board.model import (
    Act,
    ActionFailed,
    Asked,
    ButtonPressed,
    ButtonReleased,
    CheckFailed,
    CheckPassed,
    Claim,
    Followed,
    LineClosed,
    MarkGood,
    Pattern,
    PowerOff,
    RestartViscript,
    Said,
    Saying,
    Show,
    ShutdownBegan,
    StartUnit,
    TellAct,
    Unit,
)
from tests.skywire_board.stories import ABSENT, KNOWN, LOST, WORKS, online, shown, tell, wait


def say(state_word: str, at_s: float = 5.0, line: int = 1, **more: object) -> Said:
    return Said(at_s, Saying(line, "pairing", state_word, **more))  # type: ignore[arg-type]


def test_what_is_said_holds_as_long_as_its_line() -> None:
    state, effects = tell(say("pairing"), say("pairing", 6.0, code="2431"), state=online())
    assert [effect for effect in effects if isinstance(effect, Show)] == [
        Show(Pattern.PAIRING),
        Show(Pattern.PAIRING, code="2431"),
    ]
    state, effects = tell(say("joining", 7.0), state=state)
    assert shown(effects) == [Pattern.JOINING]
    _, effects = tell(LineClosed(8.0, 1), state=state)
    assert shown(effects) == [Pattern.ONLINE]


def test_a_short_answer_flashes_and_what_was_before_returns() -> None:
    state, _ = tell(say("pairing"), say("refused", 6.0), state=online())
    assert state.shown == Show(Pattern.REFUSED)
    _, effects = wait(state, 10.0)
    assert shown(effects) == [Pattern.PAIRING]
    state, _ = tell(say("confirmed", 20.0, 2), LineClosed(20.0, 2), LineClosed(20.0, 1), state=state)
    assert state.shown == Show(Pattern.CONFIRMED)
    _, effects = wait(state, 24.0)
    assert shown(effects) == [Pattern.ONLINE]


def test_a_short_press_is_the_pairings_while_it_listens() -> None:
    state, effects = tell(say("pairing"), Followed(5.1, 1), Followed(5.2, 2), Asked(6.0, Act.SHORT), state=online())
    assert TellAct(Act.SHORT, (1, 2)) in effects
    assert Pattern.IDENTIFY not in shown(effects)
    state, effects = tell(LineClosed(7.0, 1), Asked(8.0, Act.SHORT), state=state)
    assert TellAct(Act.SHORT, (2,)) in effects
    assert shown(effects) == [Pattern.ONLINE, Pattern.IDENTIFY]


def test_holds_start_their_units_and_the_light_leads_there() -> None:
    state, _ = tell(ButtonReleased(2.0), ButtonPressed(5.0), state=online())
    state, effects = wait(state, 9.5)
    assert shown(effects) == [Pattern.PAIRING]
    _, paired = decide(state, ButtonReleased(9.6))
    assert StartUnit(Unit.PAIRING) in paired
    state, effects = wait(state, 14.5)
    assert [effect.blinks for effect in effects if isinstance(effect, Show)] == [5, 4, 3, 2, 1]
    _, called_off = decide(state, ButtonReleased(14.9))
    assert not any(isinstance(effect, StartUnit) for effect in called_off)
    assert shown(called_off) == [Pattern.ONLINE]
    state, reset = wait(state, 15.1)
    assert StartUnit(Unit.FACTORY_RESET) in reset
    assert shown(reset) == [Pattern.RESETTING]
    _, effects = tell(ActionFailed(15.2, StartUnit(Unit.FACTORY_RESET), "no such unit"), state=state)
    assert shown(effects) == [Pattern.REFUSED]


def test_a_board_that_is_reset_takes_no_orders() -> None:
    state, _ = tell(Asked(5.0, Act.RESET), state=online())
    _, effects = tell(*(Asked(6.0, act) for act in Act if act is not Act.STUCK), state=state)
    assert effects == []


def test_a_reset_that_is_refused_is_over_at_once() -> None:
    """Its unit did start: only the one who says `refused` knows. As `skywire_board.reset` says it, on two lines."""
    resets, refuses = (
        Saying(line, "reset", word, "no partition 4") for line, word in ((1, "resetting"), (2, "refused"))
    )
    state, effects = tell(Asked(5.0, Act.RESET), Said(5.5, resets), LineClosed(5.6, 1), state=online())
    assert shown(effects) == [Pattern.RESETTING]
    state, effects = tell(Said(5.7, Saying(3, "pairing", "refused")), state=state)
    assert shown(effects) == [], "others do not end it"
    state, effects = tell(Said(5.8, refuses), LineClosed(5.9, 2), state=state)
    assert shown(effects) == [Pattern.REFUSED]
    state, effects = wait(state, 5.8 + FLASH_S + 1)
    assert shown(effects) == [Pattern.ONLINE]
    _, effects = tell(Asked(10.0, Act.SHORT), state=state)
    assert shown(effects) == [Pattern.IDENTIFY], "the button does what it does"


def test_the_claim_is_started_for_a_board_of_nobody_alone() -> None:
    _, effects = tell(Asked(5.0, Act.SHORT), state=online())
    assert StartUnit(Unit.CLAIM) not in effects
    nobodys, shows = tell(CheckPassed(2.0, CLAIM, Claim(is_claimed=False)), state=online())
    assert shown(shows) == [Pattern.UNCLAIMED]
    _, effects = tell(Asked(5.0, Act.SHORT), state=nobodys)
    assert StartUnit(Unit.CLAIM) in effects


def test_the_mesh_is_joined_then_works_then_is_lost() -> None:
    state, effects = tell(*KNOWN[:2], CheckPassed(0.3, MESH, LOST), CheckPassed(1.0, VISCRIPT))
    assert shown(effects) == [Pattern.BOOTING, Pattern.JOINING]
    state, effects = wait(state, 300.0, mesh=LOST)
    assert shown(effects) == []
    state, effects = wait(state, 310.0)
    assert shown(effects) == [Pattern.ONLINE]
    state, effects = wait(state, 318.0 + MESH_LOST_S, mesh=LOST)
    assert shown(effects) == []
    state, effects = wait(state, 331.0 + MESH_LOST_S, mesh=LOST)
    assert shown(effects) == [Pattern.DEGRADED]
    _, effects = wait(state, 400.0)
    assert shown(effects) == [Pattern.ONLINE]


def test_a_boot_that_nobody_notes_is_marked_good_late() -> None:
    state, effects = tell(CheckPassed(1.0, VISCRIPT))
    state, effects = wait(state, BOOT_NOTE_S, mesh=WORKS)
    assert MarkGood() not in effects
    _, effects = wait(state, BOOT_NOTE_S + 2.0)
    assert effects.count(MarkGood()) == 1


def test_a_shutdown_by_others_is_shown_and_ends_all_orders() -> None:
    state, effects = tell(ShutdownBegan(5.0), state=online())
    assert shown(effects) == [Pattern.SHUTTING_DOWN]
    _, effects = tell(Asked(6.0, Act.RESET), Asked(6.0, Act.DOUBLE), CheckFailed(7.0, VISCRIPT, ABSENT), state=state)
    assert not any(isinstance(effect, StartUnit | PowerOff | RestartViscript | Show) for effect in effects)
