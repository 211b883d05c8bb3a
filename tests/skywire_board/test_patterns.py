"""What the light's table tells a person."""

from skywire_board.model import Pattern
from skywire_board.patterns import PROGRAMS


def test_degraded_is_told_for_both_of_its_causes() -> None:
    text = PROGRAMS[Pattern.DEGRADED].text
    assert "does not answer" in text
    assert "answers that something is wrong" in text
