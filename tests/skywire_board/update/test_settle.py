"""What a boot means: trial, fall back, cut installation; and which version is older."""

from dataclasses import replace

import pytest

from skywire_board.bootstate.codec import BootState, mark_bad, mark_good, put_first
from skywire_board.update.model import Last, Trial
from skywire_board.update.settle import Seen, is_older, settle

NOW = 1_800_000_000.0
TRIAL = Trial("B", "0.2.0+aaaaaaaaaaaa", "ab" * 32, 4096, "0.1.0", mesh_before=True, at=NOW - 60)
GOOD = mark_good(BootState(), "A")
INSTALLED = put_first(mark_bad(GOOD, "B"), "B")
"""What RAUC leaves: the other slot bad while it is written, then first with three tries."""


def seen(slot: str, state: BootState, trial: Trial | None = None, why: str = "", last: Last | None = None) -> Seen:
    return Seen(slot, why, "0.1.0+bbbbbbbbbbbb", state, trial, last or Last())


def test_a_boot_like_any_other_writes_nothing() -> None:
    before = seen("A", GOOD)
    settled = settle(before, NOW)
    assert (settled.state, settled.trial, settled.last) == (before.state, before.trial, before.last)
    assert (settled.note.slot, settled.note.other, settled.note.trial, settled.note.rolled_back) == (
        "A",
        "B",
        False,
        "",
    )


def test_the_first_boot_of_what_was_installed_is_a_trial() -> None:
    settled = settle(seen("B", replace(INSTALLED, b_left=2), TRIAL), NOW)
    assert (settled.note.trial, settled.note.mesh_before, settled.note.good) == (True, True, False)
    assert settled.trial == TRIAL


def test_a_slot_whose_tries_are_used_was_rolled_back() -> None:
    settled = settle(seen("A", replace(INSTALLED, b_left=0), TRIAL, why="tries"), NOW)
    assert "version 0.2.0+aaaaaaaaaaaa in slot B did not come up" in settled.note.rolled_back
    assert (settled.state.order, settled.state.b_left, settled.trial) == ("A B", 0, None)
    again = settle(seen("A", settled.state, settled.trial, last=settled.last), NOW + 60)
    assert again.note.rolled_back == settled.note.rolled_back, "it is told until the next installation"
    assert again.last == settled.last


def test_an_old_boot_loader_without_a_word_is_understood_all_the_same() -> None:
    assert settle(seen("A", replace(INSTALLED, b_left=0), TRIAL), NOW).note.rolled_back


@pytest.mark.parametrize(("left", "words"), [(2, "did not stay up: three boots in a row"), (0, "did not come up")])
def test_unclean_boots_change_slots_and_give_the_other_its_tries_back(left: int, words: str) -> None:
    """Those boots used some up, or all; should this slot fail too, the other was good once."""
    state = replace(GOOD, b_good=True, b_left=left, order="A B")
    settled = settle(seen("A", state, why="unclean"), NOW)
    assert f"slot B {words}" in settled.note.rolled_back
    assert settled.state == replace(state, b_left=3)


def test_an_installation_that_was_cut_is_no_roll_back() -> None:
    """The power went while slot B was written: it is bad, and A comes first."""
    settled = settle(seen("A", mark_bad(GOOD, "B"), TRIAL), NOW)
    assert (settled.note.rolled_back, settled.trial) == ("", None)
    assert "was cut; slot A is untouched" in settled.last.text


def test_a_slot_taken_back_keeps_its_reason() -> None:
    last = Last("version 0.2.0 was taken back: no mesh", "version 0.2.0 was taken back: no mesh", NOW)
    settled = settle(seen("A", mark_bad(INSTALLED, "B"), None, last=last), NOW + 60)
    assert (settled.note.rolled_back, settled.last) == (last.rolled_back, last)
    cut_before_the_note_was_removed = settle(seen("A", mark_bad(INSTALLED, "B"), TRIAL, last=last), NOW + 60)
    assert cut_before_the_note_was_removed.last == last


def test_a_slot_taken_back_is_told_even_without_its_reason() -> None:
    """The data partition was full when it was taken back: the note of the trial is still there."""
    waits = Last("version 0.2.0+aaaaaaaaaaaa waits in slot B for a reboot", "", NOW)
    settled = settle(seen("A", mark_bad(INSTALLED, "B"), TRIAL, last=waits), NOW + 60)
    assert settled.note.rolled_back == "version 0.2.0+aaaaaaaaaaaa in slot B was taken back"
    assert settled.trial is None


def test_a_slot_that_was_marked_good_is_on_trial_no_more() -> None:
    """Its note could not be removed, or the power went before it was."""
    settled = settle(seen("B", mark_good(INSTALLED, "B"), TRIAL), NOW)
    assert (settled.note.trial, settled.trial) == (False, None)


@pytest.mark.parametrize(
    ("offered", "running", "older"),
    [
        ("0.1.0+a", "0.1.0+b", False),
        ("0.0.9+f", "0.1.0+0", True),
        ("0.10.0", "0.9.0", False),
        ("1.0", "1.0.1", True),
        ("nonsense", "0.1.0", True),
        ("0.1.0", "", False),
    ],
)
def test_older(offered: str, running: str, older: bool) -> None:
    assert is_older(offered, running) is older
