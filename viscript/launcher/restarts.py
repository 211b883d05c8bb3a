"""Whether an application that ended is started again, and when. Pure.

The first restart after a good run follows at once; each further one that fails soon waits twice as long, and
after `GIVE_UP_AFTER` of them in a row the application is left alone until a person starts it.
"""

from __future__ import annotations

from dataclasses import dataclass

from viscript.launcher.model import Restart

GOOD_RUN_S = 30.0
"""Seconds after which a run counts as good: what follows it is a first restart again."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
GIVE_UP_AFTER = 10


@dataclass(frozen=True, slots=True)
class Leave:
    """It is not to be started again."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It was to be, but it failed too often."""


@dataclass(frozen=True, slots=True)
class Again:
    """Start it in `pause_s` seconds; `failures` counts the runs in a row that ended soon."""

    pause_s: float
    failures: int


def decide(policy: Restart, code: int | None, ran_s: float, failures: int) -> Leave | GiveUp | Again:
    """What follows a run of `ran_s` seconds that nobody asked to end; a `code` of None, unknown, is no success."""
    if policy is Restart.NEVER or (policy is Restart.ON_FAILURE and code == 0):
        return Leave()
    if ran_s >= GOOD_RUN_S:
        failures = 0
    if failures >= GIVE_UP_AFTER:
        return GiveUp()
    pause_s = 0.0 if failures == 0 else min(FIRST_PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S)
    return Again(pause_s, failures + 1)
