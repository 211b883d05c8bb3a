"""Whether an update that is on trial is good. Pure: what is known, and how long, gives the verdict.

Good: viscript answers, the node's process answers, and the mesh works if it did before the update, all of it for
`STEADY_S` without a break. Failed: not good `TRIAL_S` after power-on. The clock counts from power-on, so a supervisor
that was restarted does not give the update more time.
"""

import math
from dataclasses import dataclass, replace

from skywire_board.model import Boot
from skywire_board.state import Trial, Verdict

TRIAL_S = 600.0
STEADY_S = 20.0
RETRY_S = 60.0  # a roll-back that has not ended the board by then is asked for again


@dataclass(frozen=True, slots=True)
class Health:
    """What an update is judged by, now."""

    viscript: bool
    node: bool
    mesh: bool


def is_well(health: Health, boot: Boot) -> bool:
    return health.viscript and health.node and (health.mesh or not boot.mesh_before)


def judge(trial: Trial, boot: Boot | None, health: Health, now_s: float) -> Trial:
    """The trial at `now_s`; a verdict once given stays, unless the slot is no longer on trial."""
    if boot is None or not boot.trial:
        return trial if trial.verdict in (Verdict.GOOD, Verdict.FAILED) else Trial()
    if trial.verdict in (Verdict.GOOD, Verdict.FAILED):
        return trial
    well_since_s = min(trial.well_since_s, now_s) if is_well(health, boot) else math.inf
    if now_s >= well_since_s + STEADY_S:
        return Trial(Verdict.GOOD, well_since_s)
    if now_s >= TRIAL_S:
        return Trial(Verdict.FAILED)
    return replace(trial, verdict=Verdict.OPEN, well_since_s=well_since_s)


def trial_wake_s(trial: Trial) -> float:
    """When time alone changes the verdict, or what follows from it."""
    if trial.verdict is Verdict.OPEN:
        return min(trial.well_since_s + STEADY_S, TRIAL_S)
    return trial.retry_s


def why_failed(health: Health, boot: Boot) -> str:
    """What an update lacked, in words."""
    lacks = [
        *(() if health.viscript else ("viscript does not answer",)),
        *(() if health.node else ("the node does not answer",)),
        *(() if health.mesh or not boot.mesh_before else ("the mesh does not work, and did before",)),
    ]
    return "; ".join(lacks) or "it was not well for long enough"
