"""One boot on a card in a file: noted, marked good after a whole read, or taken back; also where the data is full."""

import hashlib
import json
import os
from pathlib import Path

import msgspec
import pytest

from skywire_board.bootstate.card import read_state, write_state
from skywire_board.bootstate.codec import SECTOR_BYTES, SECTORS, BootState
from skywire_board.errors import UpdateError
from skywire_board.update.model import Last, Trial
from skywire_board.update.notes import Notes
from skywire_board.update.trial import Places, ask_why, fail_trial, note_boot, pass_trial

SLOT = os.urandom(3 << 19)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "card").write_bytes(bytes((SECTORS[1] + 1) * SECTOR_BYTES))
    (tmp_path / "cmdline").write_text("quiet sky.slot=B sky.why= sky.tree=7\n")
    (tmp_path / "slot-B").write_bytes(SLOT + bytes(4096))
    write_state(tmp_path / "card", BootState(0, "B A", 3, 2, a_good=True))
    return Places(tmp_path / "cmdline", tmp_path / "card", f"{tmp_path}/slot-", tmp_path / "damage")


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    (tmp_path / "version").write_text("0.3.0+b\n")
    notes = Notes(tmp_path / "update", tmp_path / "boot.json", tmp_path / "version")
    digest = hashlib.sha256(SLOT).hexdigest()
    notes.write_trial(Trial("B", "0.3.0+b", digest, len(SLOT), "0.2.0+a", mesh_before=True, at=0.0))
    notes.write_last(Last("version 0.3.0+b waits in slot B for a reboot"))
    return notes


def state(places: Places) -> BootState:
    found = read_state(places.card).state
    assert found is not None
    return found


def test_a_trial_that_passes(notes: Notes, places: Places, tmp_path: Path) -> None:
    assert note_boot(notes, places) == "slot B, version 0.3.0+b: on trial"
    told = json.loads((tmp_path / "boot.json").read_text())
    assert told == {
        "slot": "B", "other": "A", "trial": True, "mesh_before": True, "good": False, "rolled_back": "",
        "version": "0.3.0+b",
    }  # fmt: skip
    assert (tmp_path / "boot.json").stat().st_mode & 0o777 == 0o644
    assert pass_trial(notes, places).startswith("slot B is good (write ")
    assert (state(places).b_good, state(places).b_left, notes.trial()) == (True, 3, None)
    told = json.loads((tmp_path / "boot.json").read_text())
    assert (told["trial"], told["good"]) == (False, True)


def test_a_flipped_bit_on_the_card_is_no_pass(notes: Notes, places: Places, tmp_path: Path) -> None:
    note_boot(notes, places)
    data = bytearray(SLOT)
    data[len(data) // 2] ^= 1
    (tmp_path / "slot-B").write_bytes(data)
    with pytest.raises(UpdateError, match="reads differently from what was installed"):
        pass_trial(notes, places)
    assert not state(places).b_good
    why = ask_why(places)
    text = fail_trial(notes, places, why)
    assert "0.3.0+b in slot B was taken back: slot B reads differently" in text
    assert (state(places).order, state(places).b_left, notes.last().rolled_back) == ("A B", 0, text)


def test_what_is_not_on_trial_is_never_taken_back(notes: Notes, places: Places) -> None:
    note_boot(notes, places)
    pass_trial(notes, places)
    before = state(places)
    with pytest.raises(UpdateError, match="not on trial"):
        fail_trial(notes, places, "any reason")
    assert state(places) == before


def test_a_slot_that_lost_its_note_is_never_good(notes: Notes, places: Places, tmp_path: Path) -> None:
    """It cannot mount /data, so it sees no note, no identity and no network; the other slot could."""
    notes.write_trial(None)
    note_boot(notes, places)
    assert json.loads((tmp_path / "boot.json").read_text())["trial"] is True
    with pytest.raises(UpdateError, match="slot B was never good, and the note of its trial is gone"):
        pass_trial(notes, places)
    assert "never good" in fail_trial(notes, places, ask_why(places))
    assert (state(places).order, state(places).b_left) == ("A B", 0)


def test_the_first_boot_of_a_card_has_nothing_to_go_back_to(notes: Notes, places: Places) -> None:
    notes.write_trial(None)
    write_state(places.card, BootState(0, "B A", 3, 2))
    note_boot(notes, places)
    assert pass_trial(notes, places).startswith("slot B is good")


def test_data_that_cannot_be_written_keeps_no_verdict_back(notes: Notes, places: Places, tmp_path: Path) -> None:
    """A file stands where the folder of the notes was: writing fails as on a partition that went read-only."""
    note_boot(notes, places)
    kept = msgspec.json.decode((tmp_path / "update/trial.json").read_bytes(), type=Trial)

    class Stuck(Notes):
        def trial(self) -> Trial | None:
            return kept

    (tmp_path / "stuck").touch()
    stuck = Stuck(tmp_path / "stuck", tmp_path / "boot.json", tmp_path / "version")
    fail_trial(stuck, places, "no mesh")
    assert (state(places).order, state(places).b_left) == ("A B", 0)
    pass_trial(stuck, places)
    assert state(places).b_good
