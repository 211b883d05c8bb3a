"""When an application that ended is started again: at once, then more and more slowly, then no more."""

import pytest

from viscript.launcher.model import Restart
from viscript.launcher.restarts import GIVE_UP_AFTER, GOOD_RUN_S, LONGEST_PAUSE_S, Again, GiveUp, Leave, decide


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        (Restart.NEVER, 1, False),
        (Restart.ON_FAILURE, 0, False),
        (Restart.ON_FAILURE, 1, True),
        (Restart.ON_FAILURE, -9, True),
        (Restart.ON_FAILURE, None, True),
        (Restart.ALWAYS, 0, True),
    ],
)
def test_the_policy_tells_what_counts_as_an_end(policy: Restart, code: int | None, again: bool) -> None:
    assert isinstance(decide(policy, code, 1, 0), Again if again else Leave)


def test_the_first_restart_waits_for_nothing_and_the_next_ones_twice_as_long() -> None:
    pauses, failures = [], 0
    while isinstance(step := decide(Restart.ALWAYS, 1, 0.1, failures), Again):
        pauses.append(step.pause_s)
        failures = step.failures
    assert pauses[:4] == [0, 0.5, 1, 2]
    assert len(pauses) == GIVE_UP_AFTER
    assert max(pauses) == LONGEST_PAUSE_S
    assert isinstance(step, GiveUp)


def test_a_good_run_makes_good_for_all_that_failed() -> None:
    assert decide(Restart.ALWAYS, 1, GOOD_RUN_S, GIVE_UP_AFTER) == Again(0, 1)
