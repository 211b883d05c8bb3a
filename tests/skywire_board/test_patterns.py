"""The light's two tables: what they tell a person, and that no two rows can be taken for one another."""

import itertools

import pytest

from skywire_board.model import Pattern, Show
from skywire_board.patterns import CAUSES, PROGRAMS, cause_of, pairing_code, steps_of
from tests.boot.lights import codes, name_pattern, play

BLINKING = {pattern: program for pattern, program in PROGRAMS.items() if program.flashes}


def test_every_pattern_has_its_row_and_every_row_its_words() -> None:
    assert list(PROGRAMS) == list(Pattern)
    texts = [word for program in PROGRAMS.values() for word in (program.look, program.text)]
    assert len(set(texts)) == len(texts)


def test_patterns_can_be_told_apart_by_a_person() -> None:
    """Another number of flashes, or a period or share of light that differs by a fifth."""
    for one, two in itertools.combinations(BLINKING.values(), 2):
        same_count = one.flashes == two.flashes
        period = max(one.period_ms, two.period_ms) / min(one.period_ms, two.period_ms)
        share = max(one.share, two.share) / min(one.share, two.share)
        assert not same_count or max(period, share) >= 1.2, (one.look, two.look)


@pytest.mark.parametrize("pattern", BLINKING)
@pytest.mark.parametrize("late_s", [0.0, 0.05])
def test_patterns_are_told_apart_by_the_tests(pattern: Pattern, late_s: float) -> None:
    """Also where every edge comes late by up to that much, as in an emulator."""
    samples = play([(on, ms / 1000) for on, ms in PROGRAMS[pattern].steps], 6, late_s)
    assert name_pattern(samples) == pattern.value


def test_no_step_is_shorter_than_an_eye_or_an_emulator_can_see() -> None:
    assert min(ms for program in PROGRAMS.values() for _, ms in program.steps) >= 150


def test_the_countdown_gets_faster() -> None:
    periods = [sum(ms for _, ms in steps_of(Show(Pattern.COUNTDOWN, left))) for left in (5, 4, 3, 2, 1)]
    assert periods == sorted(periods, reverse=True)
    assert len(set(periods)) == 5


@pytest.mark.parametrize("code", ["2431", "9107"])
def test_a_code_can_be_counted(code: str) -> None:
    steps = [(on, ms / 1000) for on, ms in pairing_code(code)]
    found = codes(play(steps, 4))
    rounds = [8 if digit == "p" else int(digit) or 1 for digit in "p" + code]
    assert any(found[start : start + 5] == rounds for start in range(len(found)))


def test_causes_have_codes_of_their_own_that_can_be_counted() -> None:
    blinks = [cause.blinks for cause in CAUSES]
    assert len(set(blinks)) == len(blinks)
    assert 3 <= min(blinks) <= max(blinks) <= 9
    assert cause_of("card-fault").blinks == 6
