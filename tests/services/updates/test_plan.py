"""Who goes when: every transition of a board, and for any course of events: never more than may be at once, nobody
after a failure, managers last and alone, and an end.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.keys import NodeId
from services.updates import plan
from services.updates.errors import StateError
from services.updates.model import BoardState, Bundle, Patience, Rollout, Stage
from services.updates.plan import Known

OLD, NEW = "1.0.0+0", "1.1.0+1"
BUNDLE = Bundle("ab" * 32, 1 << 20, NEW, "skywire-board-arm64")
PATIENCE = Patience()
IDS = [NodeId(f"{number:02x}" * 32) for number in range(1, 30)]
A, B, C, M = IDS[:4]
HERE = BoardState(OLD, "A", has_door=True)


def make(*ids: NodeId, managers: tuple[NodeId, ...] = (), **options: Any) -> Rollout:
    return plan.make("r1", BUNDLE, ids, managers, leader=managers[0] if managers else A, **options)


def saying(doing: str = "idle", version: str = OLD, rollout: str = "r1", **more: object) -> BoardState:
    return msgspec.structs.replace(HERE, version=version, rollout=rollout, doing=doing, **more)


def stages(rollout: Rollout) -> list[str]:
    return [step.stage for step in rollout.steps]


def at(stage: Stage) -> Rollout:
    rollout = make(A, B)
    return msgspec.structs.replace(
        rollout, steps=(msgspec.structs.replace(rollout.steps[0], stage=stage), rollout.steps[1])
    )


def follow(rollout: Rollout, state: BoardState | None, *, here: bool = True, in_stage_s: float = 0.0) -> plan.Next:
    return plan.advance(rollout, {A: Known(here, state, in_stage_s), B: Known(True, HERE)}, PATIENCE)


# one board


BACK = msgspec.structs.replace(HERE, version=NEW, slot="B")
FALLEN = f"version {NEW} in slot B was taken back: viscript did not answer"
FELL = msgspec.structs.replace(HERE, rolled_back=FALLEN)


@pytest.mark.parametrize(
    ("before", "state", "after", "why"),
    [
        ("told", HERE, "told", ""),
        ("told", saying("installing", percent=10), "installing", ""),
        ("told", saying("refused", text="wrong key"), "failed", "wrong key"),
        ("told", saying("installed"), "restarting", ""),
        ("told", BACK, "done", "slot B"),
        ("installing", saying("installing", percent=90), "installing", ""),
        ("installing", saying("installed", percent=100), "restarting", ""),
        ("installing", saying("refused", text="no room"), "failed", "no room"),
        ("installing", saying("refused"), "failed", "the board refused it"),
        ("installing", HERE, "failed", f"restarted while installing, with '{OLD}'"),
        ("installing", FELL, "failed", f"rolled back: {FALLEN}"),  # "installed" was not heard
        ("restarting", saying("installed"), "restarting", ""),
        ("restarting", saying("refused", text="does not restart"), "failed", "does not restart"),
        ("restarting", msgspec.structs.replace(BACK, trial=True), "on trial", ""),
        ("restarting", BACK, "done", "slot B"),
        ("restarting", FELL, "failed", f"rolled back: {FALLEN}"),
        ("restarting", HERE, "failed", f"came back with '{OLD}'"),
        ("on trial", msgspec.structs.replace(BACK, trial=True), "on trial", ""),
        ("on trial", BACK, "done", "slot B"),
        ("on trial", FELL, "failed", f"rolled back: {FALLEN}"),
        ("done", HERE, "done", ""),
        ("failed", BACK, "failed", ""),
        ("there already", FELL, "there already", ""),
        ("left out", BACK, "left out", ""),
    ],
)
def test_every_transition_of_a_board(before: Stage, state: BoardState, after: str, why: str) -> None:
    step = follow(at(before), state).rollout.steps[0]
    assert (step.stage, step.why) == (after, why)


def test_of_a_board_that_is_away_only_time_tells() -> None:
    for before in ("told", "installing", "restarting", "on trial"):
        assert follow(at(before), HERE, here=False).rollout.steps[0].stage == before


@pytest.mark.parametrize(
    ("stage", "limit_s", "what"),
    [
        ("told", PATIENCE.begin_within_s, "does not begin"),
        ("installing", PATIENCE.install_within_s, "is not done"),
        ("restarting", PATIENCE.return_within_s, "does not come back"),
        ("on trial", PATIENCE.return_within_s, "is still on trial"),
    ],
)
def test_patience_ends(stage: Stage, limit_s: float, what: str) -> None:
    on_trial = msgspec.structs.replace(BACK, trial=True)
    state = {"told": HERE, "on trial": on_trial}.get(
        stage, saying("installing" if stage == "installing" else "installed")
    )
    before = follow(at(stage), state, in_stage_s=limit_s - 1).rollout
    assert (before.steps[0].stage, before.course) == (stage, "running")
    after = follow(at(stage), state, in_stage_s=limit_s).rollout
    assert (after.steps[0].stage, after.course) == ("failed", "stopped")
    assert what in after.steps[0].why
    assert A[:12] in after.why


def test_time_counts_anew_in_each_stage() -> None:
    """Who installed for longer than a restart may take has not been restarting for so long."""
    late = PATIENCE.install_within_s - 1
    assert stages(follow(at("installing"), saying("installed"), in_stage_s=late).rollout) == ["restarting", "waiting"]
    assert stages(follow(at("told"), saying("installing"), in_stage_s=late).rollout) == ["installing", "waiting"]


def test_who_was_told_and_is_silent_is_told_again() -> None:
    assert follow(at("told"), HERE, in_stage_s=plan.TELL_AGAIN_S - 1).tell == ()
    assert follow(at("told"), HERE, in_stage_s=plan.TELL_AGAIN_S).tell == (A,)
    assert follow(at("told"), HERE, here=False, in_stage_s=plan.TELL_AGAIN_S).tell == ()


# who is left out


def test_boards_that_need_nothing_or_are_not_there_take_no_place() -> None:
    known = {
        A: Known(is_here=False, state=HERE, missed_s=plan.ABSENT_S),
        B: Known(is_here=True, state=None, missed_s=plan.ABSENT_S),
        C: Known(is_here=True, state=BACK),
        M: Known(is_here=True, state=BoardState(OLD)),
        IDS[5]: Known(is_here=True, state=msgspec.structs.replace(HERE, trial=True)),
        IDS[6]: Known(is_here=True, state=HERE),
    }
    then = plan.advance(make(*known), known, PATIENCE)
    assert stages(then.rollout) == ["left out", "left out", "there already", "left out", "left out", "told"]
    assert then.tell == (IDS[6],)
    assert [step.why for step in then.rollout.steps[:2]] == ["absent", "no board: it has no update door"]


@pytest.mark.parametrize("silent", [Known(is_here=False, state=HERE), Known(is_here=True, state=None)])
def test_who_may_speak_yet_is_not_left_out_and_managers_wait_for_it(silent: Known) -> None:
    """As after the manager that led was killed: whoever goes on has heard of nobody."""
    known = {A: silent, B: Known(True, HERE), M: Known(True, HERE)}
    rollout, tell = plan.advance(make(A, B, M, managers=(M,)), known, PATIENCE)
    assert (stages(rollout), tell) == (["waiting", "told", "waiting"], (B,))
    known[B] = Known(True, BACK)
    rollout, tell = plan.advance(rollout, known, PATIENCE)
    assert (stages(rollout), rollout.course, tell) == (["waiting", "done", "waiting"], "running", ())
    heard = plan.advance(rollout, known | {A: Known(True, HERE)}, PATIENCE)
    assert heard.tell == (A,)
    rollout, tell = plan.advance(rollout, known | {A: silent._replace(missed_s=plan.ABSENT_S)}, PATIENCE)
    assert (stages(rollout), tell) == (["left out", "done", "told"], (M,))


def test_nothing_to_do_is_done() -> None:
    then = plan.advance(make(A), {A: Known(True, BACK)}, PATIENCE)
    assert (then.rollout.course, then.tell) == ("done", ())


# the order


def test_managers_come_last_and_the_leader_very_last() -> None:
    rollout = plan.make("r", BUNDLE, [M, A, C, B], (M, C), leader=M)
    assert [step.node_id for step in rollout.steps] == [A, B, C, M]


@pytest.mark.parametrize(
    ("percent", "boards", "at_once"), [(None, 20, 1), (25, 8, 2), (25, 3, 1), (1, 20, 1), (100, 4, 4)]
)
def test_percentages(percent: int | None, boards: int, at_once: int) -> None:
    assert make(*IDS[:boards], percent=percent).at_once == at_once


def test_a_wave_waits_for_the_one_before() -> None:
    known = {one: Known(True, HERE) for one in IDS[:4]}
    rollout, tell = plan.advance(make(*IDS[:4], percent=50), known, PATIENCE)
    assert tell == (IDS[0], IDS[1])
    known[IDS[0]] = Known(True, BACK)
    rollout, tell = plan.advance(rollout, known, PATIENCE)
    assert (stages(rollout), tell) == (["done", "told", "waiting", "waiting"], ())
    known[IDS[1]] = Known(True, BACK)
    assert plan.advance(rollout, known, PATIENCE).tell == (IDS[2], IDS[3])


@pytest.mark.parametrize("wrong", [{"percent": 0}, {"percent": 101}, {"failures": -1}])
def test_what_cannot_be_asked(wrong: dict[str, int]) -> None:
    with pytest.raises(StateError):
        make(A, managers=(), **wrong)
    with pytest.raises(StateError, match="no board"):
        make()


# steering


def test_pause_resume_abort() -> None:
    known = {A: Known(True, HERE), B: Known(True, HERE)}
    rollout = plan.steer(make(A, B), "pause")
    assert plan.advance(rollout, known, PATIENCE) == (rollout, ())
    assert plan.advance(plan.steer(rollout, "resume"), known, PATIENCE).tell == (A,)
    aborted = plan.steer(rollout, "abort")
    assert plan.advance(aborted, known, PATIENCE) == (aborted, ())
    for act in ("pause", "resume", "abort"):
        with pytest.raises(StateError, match=f"cannot {act}"):
            plan.steer(aborted, act)
    with pytest.raises(StateError):
        plan.steer(rollout, "stop")
    assert plan.steer(msgspec.structs.replace(rollout, course="stopped"), "abort").course == "aborted"
    with pytest.raises(StateError, match="cannot resume"):
        plan.steer(make(A), "resume")


def test_a_refused_order_stops_it() -> None:
    rollout = plan.refuse(at("told"), A, "no board")
    assert (stages(rollout), rollout.course) == (["failed", "waiting"], "stopped")
    assert plan.refuse(at("installing"), A, "late") == at("installing")


def test_who_is_under_way_is_followed_after_the_stop() -> None:
    known = {one: Known(True, HERE) for one in (A, B, C)}
    rollout, _ = plan.advance(make(A, B, C, percent=60), known, PATIENCE)
    known[A] = Known(True, saying("refused", text="no"))
    rollout, tell = plan.advance(rollout, known, PATIENCE)
    assert (stages(rollout), rollout.course, tell) == (["failed", "told", "waiting"], "stopped", ())
    known[B] = Known(True, BACK)
    rollout, tell = plan.advance(rollout, known, PATIENCE)
    assert (stages(rollout), rollout.course, tell) == (["failed", "done", "waiting"], "stopped", ())


# whatever happens


@dataclasses.dataclass
class Board:
    """A board with luck of its own: what it does when time passes."""

    luck: random.Random
    bad: float
    state: BoardState = HERE
    is_down: bool = False
    told: int = 0
    loses: bool = False

    def hear(self) -> None:
        self.told += 1
        self.loses = self.luck.random() < self.bad / 2
        if not self.loses and self.state.doing == "idle" and self.state.version == OLD and not self.is_down:
            self.state = saying("installing")

    def live(self) -> None:
        if self.luck.random() < 0.4:
            return
        fails = self.luck.random() < self.bad
        if self.is_down:
            self.is_down = fails
            state = FELL if self.luck.random() < self.bad else msgspec.structs.replace(BACK, trial=True)
            self.state = state if not fails else self.state
        elif self.state.doing == "installing":
            self.state = saying("refused", text="bad") if fails else saying("installed")
        elif self.state.doing == "installed":
            self.is_down = True
        elif self.state.trial:
            self.state = FELL if fails else BACK


@settings(max_examples=120)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 12),
    managers=st.integers(0, 3),
    percent=st.one_of(st.none(), st.integers(1, 100)),
    failures=st.integers(0, 2),
    bad=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_whatever_happens(seed: int, count: int, managers: int, percent: int | None, failures: int, bad: float) -> None:
    luck = random.Random(seed)
    ids = IDS[:count]
    theirs = tuple(luck.sample(ids, min(managers, count)))
    boards = {one: Board(luck, bad) for one in ids}
    rollout = plan.make(
        "r1", BUNDLE, ids, theirs, leader=theirs[0] if theirs else ids[0], percent=percent, failures=failures
    )
    since: dict[NodeId, tuple[str, int]] = {}
    for second in range(0, 60_000, 10):
        for step in rollout.steps:
            if since.get(step.node_id, ("", 0))[0] != step.stage:
                since[step.node_id] = step.stage, second
        known = {one: Known(not board.is_down, board.state, second - since[one][1]) for one, board in boards.items()}
        before = rollout
        rollout, tell = plan.advance(rollout, known, PATIENCE)
        new = [one for one in tell if next(step for step in before.steps if step.node_id == one).stage == "waiting"]
        broken = [step for step in before.steps if step.stage == "failed"]
        assert not (new and len(broken) > failures), "nobody begins after a failure"
        busy = rollout.busy
        assert len(busy) <= rollout.at_once
        assert len(busy) <= 1 or not any(step.is_manager for step in busy), "a manager goes alone"
        down = [one for one, board in boards.items() if board.is_down]
        lost = {step.node_id for step in rollout.steps if step.stage == "failed"}
        assert len([one for one in down if one not in lost]) <= rollout.at_once
        if any(step.is_manager and step.stage != "waiting" for step in rollout.steps):
            assert all(step.stage != "waiting" for step in rollout.steps if not step.is_manager)
        for one in tell:
            boards[one].hear()
        for board in boards.values():
            board.live()
        if rollout.is_over and not rollout.busy:
            break
    assert rollout.is_over, "it ends"
    if bad == 0.0:
        assert rollout.course == "done"
        assert all(board.state.version == NEW for board in boards.values())
