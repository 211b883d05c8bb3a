"""A second slot that holds nothing good becomes a copy of the running one, and never one that an update is about."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from skywire_board.bootstate.card import read_state, write_state
from skywire_board.bootstate.codec import SECTOR_BYTES, SECTORS, BootState
from skywire_board.errors import UpdateError
from skywire_board.update import second_slot
from skywire_board.update.model import Trial
from skywire_board.update.notes import Notes
from skywire_board.update.second_slot import fill_second_slot, slot_bytes
from skywire_board.update.trial import CHUNK, Places

BLOCKS, TREE = 600, 700  # 600 blocks have 5 blocks of sums, and one above them
SIZE = (TREE + 5 + 1) * 4096
SLOT = os.urandom(SIZE)
FRESH = BootState(0, "A B", 3, 3, a_good=True)
TRIAL = Trial("B", "0.3.0+b", "ab", 1, "0.2.0+a", mesh_before=True, at=0.0)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A card that was flashed, booted and found good: slot A with what lies behind it, slot B empty."""
    (tmp_path / "card").write_bytes(bytes((SECTORS[1] + 1) * SECTOR_BYTES))
    (tmp_path / "cmdline").write_text(f"quiet sky.slot=A sky.blocks={BLOCKS} sky.tree={TREE}\n")
    (tmp_path / "slot-A").write_bytes(SLOT + b"behind")
    (tmp_path / "slot-B").write_bytes(bytes(SIZE + 6))
    write_state(tmp_path / "card", FRESH)
    return Places(tmp_path / "cmdline", tmp_path / "card", f"{tmp_path}/slot-", tmp_path / "damage")


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "update", tmp_path / "boot.json", tmp_path / "version")


def state(places: Places) -> BootState:
    found = read_state(places.card).state
    assert found is not None
    return found


def test_a_fresh_card_gets_its_second_slot(notes: Notes, places: Places) -> None:
    assert fill_second_slot(notes, places) == "slot B is a copy of slot A, and good"
    assert places.device("B").read_bytes() == SLOT + bytes(6)
    then = state(places)
    assert (then.order, then.b_left, then.b_good) == ("A B", 3, True)
    assert fill_second_slot(notes, places).endswith("it is good")
    assert state(places) == then


def test_a_slot_that_was_taken_back_is_filled_too(notes: Notes, places: Places) -> None:
    write_state(places.card, BootState(0, "A B", 3, 0, a_good=True))
    assert "is a copy" in fill_second_slot(notes, places)
    assert (state(places).b_left, state(places).b_good) == (3, True)


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (BootState(0, "A B", 3, 3), "slot A was not marked good yet"),
        (BootState(0, "B A", 3, 3, a_good=True), "an update is on its way"),
        (BootState(0, "A B", 3, 3, a_good=True, b_good=True), "it is good"),
    ],
)
def test_what_it_leaves_alone(notes: Notes, places: Places, before: BootState, why: str) -> None:
    written = write_state(places.card, before)
    assert fill_second_slot(notes, places) == f"the other slot is left as it is: {why}"
    assert places.device("B").read_bytes() == bytes(SIZE + 6)
    assert state(places) == written


def test_an_installation_goes_first(notes: Notes, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.write_trial(TRIAL)
    assert "an update is on its way" in fill_second_slot(notes, places)
    notes.write_trial(None)

    def begins(places: Places) -> None:
        notes.write_trial(TRIAL)

    check_stops(notes, places, monkeypatch, begins)


def test_whoever_changes_the_boot_state_stops_it(notes: Notes, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def goes_bad(places: Places) -> None:
        write_state(places.card, BootState(0, "A B", 3, 0, a_good=True))

    check_stops(notes, places, monkeypatch, goes_bad)


def check_stops(notes: Notes, places: Places, monkeypatch: pytest.MonkeyPatch, begin: Callable[[Places], None]) -> None:
    """After the first chunk something begins: no other chunk is written, and the slot is not good."""
    write, written = second_slot._write_all, list[int]()

    def first(fd: int, data: bytes) -> None:
        write(fd, data)
        written.append(len(data))
        begin(places)

    monkeypatch.setattr(second_slot, "_write_all", first)
    assert "not filled now: an update began" in fill_second_slot(notes, places)
    assert written == [CHUNK]
    assert not state(places).b_good


def test_a_card_that_forgets_is_tried_once(notes: Notes, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    write = second_slot._write_all
    monkeypatch.setattr(second_slot, "_write_all", lambda fd, data: write(fd, bytes([data[0] ^ 1]) + data[1:]))
    with pytest.raises(UpdateError, match="slot B reads differently from what was written"):
        fill_second_slot(notes, places)
    assert not state(places).b_good
    assert "did not give back" in fill_second_slot(notes, places)


def test_where_the_slot_ends() -> None:
    assert slot_bytes({"blocks": str(BLOCKS), "tree": str(TREE)}) == SIZE
    assert slot_bytes({"blocks": "1", "tree": "9"}) == 9 * 4096
    with pytest.raises(UpdateError, match="does not say how long"):
        slot_bytes({"slot": "A"})


def test_a_slot_that_ends_early_is_no_copy(notes: Notes, places: Places) -> None:
    places.device("A").write_bytes(SLOT[:-1])
    with pytest.raises(UpdateError, match="slot A ends 1 bytes early"):
        fill_second_slot(notes, places)
    assert not state(places).b_good
