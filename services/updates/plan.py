"""Who goes when: a roll-out and what is known of its boards in, the next roll-out and who is to be told out. Pure.

waiting ─► told ─► installing ─► restarting ─► on trial ─► done          any of them ─► failed: no more are told
   └► there already, left out (absent, or no board)

Boards go in waves of `at_once`; a wave begins when the one before has ended. Boards with a manager come last and one
at a time, so that the others still find the bundle. A board that was told cannot be called back: a roll-out that is
paused or stopped waits for what is under way, and says how it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import NamedTuple

from msgspec.structs import replace

from services.keys import NodeId
from services.updates.errors import StateError
from services.updates.model import BUSY, ENDED, BoardState, Bundle, Course, Patience, Rollout, Stage, Step

TELL_AGAIN_S = 20.0
"""To a board that was told and says nothing of it: the order, or who gave it, may have been lost."""

ABSENT_S = 45.0
"""Who was not heard for so long is left out. Boards speak every 30 s; a manager that has just begun to lead, or whose
memory was lost with its NATS, knows of nobody yet.
"""


class Known(NamedTuple):
    """Of one board: whether it is heard of just now, what it said last, for how long it is in its stage, and how long
    this manager has missed its voice or its state.
    """

    is_here: bool
    state: BoardState | None
    in_stage_s: float = 0.0
    missed_s: float = 0.0

    @property
    def may_speak_yet(self) -> bool:
        return (not self.is_here or self.state is None) and self.missed_s < ABSENT_S


class Next(NamedTuple):
    """`tell` are to be ordered to install: now, or once more where that was some time ago."""

    rollout: Rollout
    tell: tuple[NodeId, ...]


UNKNOWN = Known(is_here=False, state=None, missed_s=ABSENT_S)


def make(
    name: str,
    bundle: Bundle,
    order: Iterable[NodeId],
    managers: tuple[NodeId, ...],
    *,
    leader: NodeId,
    percent: int | None = None,
    failures: int = 0,
    older: bool = False,
) -> Rollout:
    """`order` without those that come last anyway: managers, and of them the one that leads. Raises StateError."""
    told = tuple(dict.fromkeys(order))
    if not told:
        raise StateError("there is no board to update (see them: manager nodes)")
    if percent is not None and not 1 <= percent <= 100:
        raise StateError(f"--percent '{percent}' is not from 1 to 100")
    if failures < 0:
        raise StateError(f"'{failures}' failures cannot be tolerated: give 0 or more")
    last = [node_id for node_id in told if node_id in managers]
    last.sort(key=lambda node_id: node_id == leader)
    first = [node_id for node_id in told if node_id not in managers]
    at_once = 1 if percent is None else max(1, ceil(len(told) * percent / 100))
    steps = (*(Step(one) for one in first), *(Step(one, is_manager=True) for one in last))
    return Rollout(name, bundle, steps, at_once, failures, older)


def advance(rollout: Rollout, known: Mapping[NodeId, Known], patience: Patience) -> Next:
    """What the boards say is taken in, then as many are told as may be."""
    tell: list[NodeId] = []
    steps = list(rollout.steps)
    for place, step in enumerate(steps):
        about = known.get(step.node_id, UNKNOWN)
        steps[place] = _follow(step, about, rollout, patience)
        if steps[place].stage == "told" == step.stage and about.in_stage_s >= TELL_AGAIN_S and about.is_here:
            tell.append(step.node_id)
    rollout = _judge(replace(rollout, steps=tuple(steps)))
    if rollout.course == "running" and not rollout.busy:
        rollout, told = _next_wave(rollout, known)
        tell += told
    return Next(_end(rollout), tuple(tell))


def refuse(rollout: Rollout, node_id: NodeId, why: str) -> Rollout:
    """The board itself refused the order."""
    steps = tuple(
        replace(step, stage="failed", why=why) if step.node_id == node_id and step.stage == "told" else step
        for step in rollout.steps
    )
    return _end(_judge(replace(rollout, steps=steps)))


def steer(rollout: Rollout, act: str) -> Rollout:
    """`pause`, `resume` or `abort`. Raises StateError."""
    wanted: dict[str, tuple[Course, frozenset[Course]]] = {
        "pause": ("paused", frozenset({"running"})),
        "resume": ("running", frozenset({"paused"})),
        "abort": ("aborted", frozenset({"running", "paused", "stopped"})),
    }
    if act not in wanted:
        raise StateError(f"'{act[:40]}' is nothing to do with an update: pause, resume or abort")
    course, before = wanted[act]
    if rollout.course not in before:
        raise StateError(f"the update to '{rollout.bundle.version}' is {rollout.course}: it cannot {act}")
    return replace(rollout, course=course, why="by a person" if act != "resume" else "")


# one board


def _follow(step: Step, about: Known, rollout: Rollout, patience: Patience) -> Step:
    if step.stage not in BUSY:
        return step
    state, then = about.state, step
    if state is not None and state.rollout == rollout.name:
        then = _take_word(step, state)
    elif state is not None and about.is_here:
        then = _take_return(step, state, rollout)
    return _check_time(step, about, patience) if then.stage == step.stage else then


def _take_word(step: Step, state: BoardState) -> Step:
    """It speaks of this roll-out: it has not restarted since it was told."""
    match state.doing:
        case "refused":
            return _to(step, "failed", state.text or "the board refused it")
        case "installed":
            return _to(step, "restarting", state.text)
        case "installing":
            return _to(step, "installing")
    return step


def _take_return(step: Step, state: BoardState, rollout: Rollout) -> Step:
    """It speaks of none: it has not begun yet, or it was restarted."""
    if state.version == rollout.bundle.version:
        return _to(step, "on trial" if state.trial else "done", "" if state.trial else f"slot {state.slot}")
    if step.stage in {"restarting", "on trial"}:
        why = f"rolled back: {state.rolled_back}" if state.rolled_back else f"came back with '{state.version}'"
        return _to(step, "failed", why)
    if step.stage == "installing":  # or installed, and its word for that was lost
        back = rollout.bundle.version in state.rolled_back
        why = f"rolled back: {state.rolled_back}" if back else f"restarted while installing, with '{state.version}'"
        return _to(step, "failed", why)
    return step


def _check_time(step: Step, about: Known, patience: Patience) -> Step:
    limit_s = {"told": patience.begin_within_s, "installing": patience.install_within_s}.get(
        step.stage, patience.return_within_s
    )
    if about.in_stage_s < limit_s:
        return step
    what = {"told": "does not begin", "installing": "is not done", "on trial": "is still on trial"}
    return _to(step, "failed", f"{what.get(step.stage, 'does not come back')} after {limit_s:g} s")


def _to(step: Step, stage: Stage, why: str = "") -> Step:
    return replace(step, stage=stage, why=why)


# all of them


def _judge(rollout: Rollout) -> Rollout:
    failed = [step for step in rollout.steps if step.stage == "failed"]
    if len(failed) <= rollout.failures or rollout.course in {"stopped", "aborted"}:
        return rollout
    return replace(rollout, course="stopped", why=f"board '{failed[-1].node_id[:12]}': {failed[-1].why}")


def _end(rollout: Rollout) -> Rollout:
    is_done = rollout.course == "running" and all(step.stage in ENDED for step in rollout.steps)
    return replace(rollout, course="done") if is_done else rollout


def _next_wave(rollout: Rollout, known: Mapping[NodeId, Known]) -> tuple[Rollout, list[NodeId]]:
    """Who needs nothing, or is not there, takes no place in it; for who may speak yet, managers wait."""
    steps, told, most, is_silent = list(rollout.steps), list[NodeId](), rollout.at_once, False
    for place, waiting in enumerate(steps):
        if len(told) >= most:
            break
        if waiting.stage != "waiting":
            continue
        about = known.get(waiting.node_id, UNKNOWN)
        if about.may_speak_yet:
            is_silent = True
            continue
        steps[place] = step = _look(waiting, about, rollout.bundle)
        if step.stage != "waiting":
            continue
        if step.is_manager:
            if told or is_silent:
                break
            most = 1
        steps[place] = _to(step, "told")
        told.append(step.node_id)
    return replace(rollout, steps=tuple(steps)), told


def _look(step: Step, about: Known, bundle: Bundle) -> Step:
    state = about.state
    if not about.is_here:
        return _to(step, "left out", "absent")
    if state is None or not state.has_door:
        return _to(step, "left out", "no board: it has no update door")
    if state.trial:
        return _to(step, "left out", "it is on trial just now")
    return _to(step, "there already") if state.version == bundle.version else step
