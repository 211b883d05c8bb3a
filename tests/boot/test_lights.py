"""What is read from a light's samples: the same patterns that a board shows, made by hand."""

import itertools

from tests.boot.lights import Sample, codes, is_period, periods


def play(steps: list[tuple[bool, float]], rounds: int) -> list[Sample]:
    """Samples every 10 ms of a pattern of (lit, seconds)."""
    samples, now = [], 0.0
    for lit, length in itertools.chain.from_iterable([steps] * rounds):
        for _ in range(round(length * 100)):
            samples.append((now, lit))
            now += 0.01
    return samples


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
