"""Two boards that pair, joined in memory: what they decide, and what strangers can make of it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.keys import Identity, new_seed
from services.node.vouching import vouch
from services.pairing import words
from services.pairing.brain import Admit, Brain, Dial, Effect, End, Hear, Keep, Send
from services.pairing.crypto import FACES, PURPOSE, Ephemeral
from services.pairing.model import CONFIRM_S, WINDOW_S, Can, Me, Part, Stage, Welcome, choose_part

IDENTITIES = [Identity(new_seed()) for _ in range(3)]
AT = ("192.0.2.1:7997", "one.local:7997")


class Side:
    """One board: its brain, what it did, and the lines that wait for the other."""

    def __init__(self, place: int, can: Can = Can.EITHER, held_s: float = 0.0) -> None:
        identity, key = IDENTITIES[place], Ephemeral()
        self.identity, self.window = identity, f"{place:032x}"
        me = Me(identity.node_id, f"board-{place}", can, vouch(identity, PURPOSE, key.public))
        self.brain = Brain(me, key, self.window, held_s)
        self.done: list[Effect] = []
        self.lines: list[bytes] = []

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.done.append(effect)
            if isinstance(effect, Send):
                self.lines += effect.data.splitlines()

    @property
    def stage(self) -> Stage:
        return self.brain.shown.stage

    def did(self, kind: type[Effect]) -> bool:
        return any(isinstance(effect, kind) for effect in self.done)


def meet(one: Side, other: Side, now_s: float = 10.0) -> None:
    """They find one another, and say all that is said without a person. `one` has the lower window."""
    one.do(one.brain.found(other.window, "other", now_s))
    other.do(other.brain.found(one.window, "one", now_s))
    one.do(one.brain.tick(one.brain.wakes_s))
    assert Dial(other.window) in one.done
    one.do(one.brain.dialled(now_s))
    other.do(other.brain.came(one.lines.pop(0), now_s))
    assert other.did(Hear)
    talk(one, other, now_s)


def talk(one: Side, other: Side, now_s: float) -> None:
    while one.lines or other.lines:
        for here, there in ((one, other), (other, one)):
            while here.lines:
                there.do(there.brain.heard(here.lines.pop(0), now_s))


def pair(one: Side, other: Side) -> None:
    meet(one, other)
    assert one.stage is other.stage is Stage.COMPARING, (one.brain.shown, other.brain.shown)


def test_two_boards_join_once_both_buttons_were_pressed() -> None:
    manager, new = Side(0, held_s=0), Side(1, held_s=5)
    pair(manager, new)
    assert manager.brain.shown.code == new.brain.shown.code
    assert (manager.brain.shown.part, new.brain.shown.part) == (Part.MANAGER, Part.NEW)
    assert len(manager.brain.shown.code) == 4
    assert set(manager.brain.shown.code) <= set("123456")
    manager.do(manager.brain.pressed(12))
    talk(manager, new, 12)
    assert not manager.did(Admit), "the new board's person has not seen the code"
    new.do(new.brain.pressed(13))
    talk(manager, new, 13)
    assert Admit(new.identity.node_id) in manager.done
    manager.do(manager.brain.admitted(AT))
    talk(manager, new, 14)
    assert Keep(Welcome(manager.identity.node_id, AT, "board-0")) in new.done
    new.do(new.brain.kept())
    talk(manager, new, 15)
    assert manager.stage is new.stage is Stage.CONFIRMED
    assert (End(joined=False) in manager.done, End(joined=True) in new.done) == (True, True)


def test_without_the_managers_press_nothing_joins() -> None:
    manager, new = Side(0, held_s=0), Side(1, held_s=5)
    pair(manager, new)
    new.do(new.brain.pressed(12))
    talk(manager, new, 12)
    for board in (manager, new):
        board.do(board.brain.tick(10 + CONFIRM_S))
        assert board.stage is Stage.REFUSED
        assert not (board.did(Admit))
        assert not (board.did(Keep))


def test_the_new_board_obeys_nobody_before_its_own_press() -> None:
    """A manager that is none, and welcomes at once."""
    false, new = Side(0, held_s=0), Side(1, held_s=5)
    pair(false, new)
    exchange = false.brain._exchange
    line = exchange.seal(words.Welcomed(false.identity.node_id, AT, "x")).strip()
    new.do(new.brain.heard(line, 11))
    assert (new.stage, new.did(Keep)) == (Stage.REFUSED, False)


def test_a_press_before_anybody_can_have_seen_the_code_does_not_count() -> None:
    manager, new = Side(0, held_s=0), Side(1, held_s=5)
    pair(manager, new)
    new.do(new.brain.pressed(10.5))
    talk(manager, new, 10.5)
    manager.do(manager.brain.pressed(10.9))
    assert "too soon" in manager.brain.shown.text
    manager.do(manager.brain.pressed(12))
    assert not manager.did(Admit)


def test_two_candidates_are_refused_at_all_three() -> None:
    boards = [Side(place, held_s=float(place)) for place in range(3)]
    for board in boards:
        for other in boards:
            board.do(board.brain.found(other.window, f"board {other.window[-1]}", 10))
    for board in boards:
        assert board.stage is Stage.REFUSED
        assert "two other boards" in board.brain.shown.text


def test_a_second_candidate_after_the_code_still_refuses() -> None:
    manager, new = Side(0, held_s=0), Side(1, held_s=5)
    pair(manager, new)
    new.do(new.brain.found(f"{7:032x}", "late", 11))
    talk(manager, new, 11)
    assert manager.stage is new.stage is Stage.REFUSED
    assert "two other boards" in manager.brain.shown.text


def test_between_them_somebody_sees_two_codes() -> None:
    """He relays every line, but with offers of his own: of many tries hardly one shows the same code on both."""
    same = 0
    for _ in range(40):
        manager, new = Side(0, held_s=0), Side(1, held_s=5)
        towards_manager, towards_new = Side(2, held_s=5), Side(2, held_s=0)
        towards_manager.window = towards_manager.brain._window = towards_manager.brain._exchange._window = new.window
        towards_new.window = towards_new.brain._window = towards_new.brain._exchange._window = manager.window
        meet(manager, towards_manager)
        meet(towards_new, new)
        assert manager.stage is new.stage is Stage.COMPARING
        same += manager.brain.shown.code == new.brain.shown.code
    assert same <= 2, "one of 1296 tries succeeds"


def test_an_offer_that_was_not_committed_to_is_refused() -> None:
    first, second = Side(0), Side(1)
    second.do(second.brain.found(first.window, "", 10))
    first.do(first.brain.found(second.window, "", 10))
    first.do(first.brain.tick(20))
    first.do(first.brain.dialled(10))
    second.do(second.brain.came(first.lines.pop(0), 10))
    first.do(first.brain.heard(second.lines.pop(0), 10))
    offer = msgspec.json.decode(first.lines.pop(0))
    offer["age_s"] += 1
    second.do(second.brain.heard(msgspec.json.encode(offer), 10))
    assert second.stage is Stage.REFUSED
    assert "committed" in second.brain.shown.text


def test_a_whole_pairing_replayed_ends_before_anything_is_sealed() -> None:
    manager, new = Side(0, held_s=0), Side(1, held_s=5)
    said: list[bytes] = []
    manager.do(manager.brain.found(new.window, "", 10))
    manager.do(manager.brain.tick(20))
    manager.do(manager.brain.dialled(20))
    said += manager.lines
    new.do(new.brain.came(manager.lines.pop(0), 20))
    manager.do(manager.brain.heard(new.lines.pop(0), 20))
    said += manager.lines
    new.do(new.brain.heard(manager.lines.pop(0), 20))
    new.do(new.brain.pressed(22))
    manager.do(manager.brain.heard(new.lines.pop(0), 22))
    manager.do(manager.brain.pressed(23))
    manager.do(manager.brain.admitted(AT))
    said += manager.lines
    again = Side(1, held_s=5)
    again.do(again.brain.came(said[0], 10))
    again.do(again.brain.heard(said[1], 10))
    again.do(again.brain.pressed(12))
    for line in said[2:]:
        again.do(again.brain.heard(line, 13))
    assert (again.stage, again.did(Keep)) == (Stage.REFUSED, False)


@pytest.mark.parametrize(
    ("mine", "theirs", "part"),
    [
        ((Can.EITHER, 20), (Can.EITHER, 10), Part.MANAGER),
        ((Can.EITHER, 10), (Can.EITHER, 20), Part.NEW),
        ((Can.EITHER, 10), (Can.MANAGER, 1), Part.NEW),
        ((Can.NEW, 20), (Can.EITHER, 1), Part.NEW),
        ((Can.MANAGER, 1), (Can.NEW, 9), Part.MANAGER),
        ((Can.EITHER, 10.0), (Can.EITHER, 10.9), "same time"),
        ((Can.MANAGER, 9), (Can.MANAGER, 1), "both boards are managers"),
        ((Can.NEW, 9), (Can.NEW, 1), "neither board"),
    ],
)
def test_who_is_the_manager(mine: tuple[Can, float], theirs: tuple[Can, float], part: Part | str) -> None:
    here, there = choose_part(mine, theirs), choose_part(theirs, mine)
    if isinstance(part, Part):
        assert here is part
        assert there is (Part.NEW if part is Part.MANAGER else Part.MANAGER)
    else:
        assert here == there
        assert part in here


def test_who_finds_nobody_gives_up_after_two_minutes() -> None:
    board = Side(0, held_s=100)
    assert board.brain.tick(100 + WINDOW_S - 1) == []
    board.do(board.brain.tick(100 + WINDOW_S))
    assert (board.stage, board.done) == (Stage.REFUSED, [End(joined=False)])


def test_a_cut_or_a_cancel_refuses_at_both_ends_but_what_was_told_holds() -> None:
    for is_cut in (True, False):
        manager, new = Side(0, held_s=0), Side(1, held_s=5)
        pair(manager, new)
        if is_cut:
            manager.do(manager.brain.cut("cut"))
            new.do(new.brain.cut("cut"))
        else:
            manager.do(manager.brain.cancelled())
            talk(manager, new, 11)
        assert manager.stage is new.stage is Stage.REFUSED
    manager, new = Side(0, held_s=0), Side(1, held_s=5)
    pair(manager, new)
    new.do(new.brain.pressed(12))
    talk(manager, new, 12)
    manager.do(manager.brain.pressed(13))
    manager.do(manager.brain.admitted(AT))
    talk(manager, new, 14)
    assert new.brain.cut("cut") == []
    new.do(new.brain.kept())
    assert new.stage is Stage.CONFIRMED


def test_a_stranger_who_knocks_with_nonsense_ends_nothing() -> None:
    manager, new = Side(0, held_s=0), Side(1, held_s=5)
    for line in (b"", b"GET / HTTP/1.1", b"{}", b'{"is":"offer"}', b"\xff" * 100, b"[" * 4000):
        new.do(new.brain.came(line, 9))
    assert (new.stage, new.done) == (Stage.LOOKING, [])
    pair(manager, new)


def test_a_board_that_says_too_much_is_refused() -> None:
    manager, new = Side(0, held_s=0), Side(1, held_s=5)
    pair(manager, new)
    for _ in range(20):
        new.do(new.brain.heard(b'{"is":"cancel","why":""}' if new.brain.is_over else b"{}", 11))
    assert new.stage is Stage.REFUSED


LINE = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda why: msgspec.json.encode(words.Cancel(why)), st.text(max_size=20)),
    st.builds(lambda box: msgspec.json.encode(words.Sealed(box)), st.binary(max_size=80)),
    st.builds(
        lambda window, digest: msgspec.json.encode(words.Commit(1, f"{window:032x}", digest)),
        st.integers(0, 3),
        st.binary(min_size=32, max_size=32),
    ),
    st.builds(
        lambda can, age: msgspec.json.encode(words.Offer("0" * 32, b"x", can, age, "n", bytes(32))),
        st.sampled_from(Can),
        st.floats(0, 600),
    ),
)
EVENT = st.one_of(
    st.tuples(st.just("found"), st.integers(0, 3)),
    st.tuples(st.just("lost"), st.integers(0, 3)),
    st.tuples(st.just("came"), LINE),
    st.tuples(st.just("heard"), LINE),
    *(st.tuples(st.just(name), st.none()) for name in ("dialled", "pressed", "tick", "cut", "cancelled", "admitted")),
)


@settings(max_examples=200)
@given(st.lists(EVENT, max_size=12), st.lists(st.floats(0, 30), min_size=12, max_size=12))
def test_whatever_strangers_do_nobody_joins_or_is_admitted(
    events: list[tuple[str, object]], pauses: list[float]
) -> None:
    board, now_s = Side(1), 0.0
    for (name, what), pause_s in zip(events, pauses, strict=False):
        now_s += pause_s
        match name, what:
            case ("found", int(place)):
                board.do(board.brain.found(f"{place:032x}", "", now_s))
            case ("lost", int(place)):
                board.do(board.brain.lost(f"{place:032x}"))
            case ("came" | "heard", bytes(line)):
                board.do(getattr(board.brain, name)(line, now_s))
            case ("dialled" | "pressed" | "tick", None):
                board.do(getattr(board.brain, name)(now_s))
            case ("cut", None):
                board.do(board.brain.cut("cut"))
            case ("cancelled", None):
                board.do(board.brain.cancelled())
            case ("admitted", None):
                board.do(board.brain.admitted(AT))
    assert not (board.did(Admit))
    assert not (board.did(Keep))
    assert End(joined=True) not in board.done
    board.do(board.brain.tick(now_s + 1000))
    assert board.brain.is_over


def test_digits_are_all_used() -> None:
    codes = "".join(Ephemeral().agree(Ephemeral().public, bytes([n])).code for n in range(40))
    assert set(codes) == {str(face) for face in range(1, FACES + 1)}
