"""What is read from a light's samples: the same patterns that a board shows, made by hand."""

from tests.boot.lights import codes, is_period, name_pattern, periods, play


def test_a_code_is_counted_between_its_pauses() -> None:
    three = [(True, 0.3), (False, 0.3), (True, 0.3), (False, 0.3), (True, 0.3), (False, 1.5)]
    assert codes(play(three, 4)) == [3, 3]
    assert codes(play([(True, 0.3), (False, 1.5)], 5)) == [1, 1]


def test_what_does_not_pause_has_no_code() -> None:
    assert codes(play([(True, 0.5), (False, 0.5)], 9)) == []
    assert codes(play([(False, 5.0)], 1)) == []


def test_a_period_is_the_time_between_lightings() -> None:
    found = periods(play([(True, 1.8), (False, 0.2)], 12))
    assert is_period(found, 2.0)
    assert not is_period(found, 1.0)


def test_a_pattern_is_named_once_it_was_seen_for_two_rounds() -> None:
    winks = [(True, 1.8), (False, 0.2)]
    assert name_pattern(play(winks, 4)) == "online"
    assert name_pattern(play(winks, 2)) == ""
    assert name_pattern(play([(True, 6.0), (False, 6.0)], 4)) == ""
