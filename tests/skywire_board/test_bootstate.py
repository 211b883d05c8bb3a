"""The boot state: round trips, torn writes, foreign sectors, U-Boot's format, the command line."""

import json
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire_board.bootstate.__main__ import CARD
from skywire_board.bootstate.card import read_state, write_state
from skywire_board.bootstate.codec import (
    ORDERS,
    SECTOR_BYTES,
    SECTORS,
    BootState,
    choose,
    mark_bad,
    mark_good,
    parse,
    put_first,
    read_slot,
    render,
)
from skywire_board.errors import BootStateError
from skywire_board.update.trial import SLOTS

TRIES = st.integers(0, 9)
STATES = st.builds(
    BootState, st.integers(0, 2**32 - 1), st.sampled_from(ORDERS), TRIES, TRIES, st.booleans(), st.booleans(), TRIES
)
EMPTY = bytes(SECTOR_BYTES)


@given(STATES)
def test_what_is_rendered_is_parsed(state: BootState) -> None:
    assert len(render(state)) == SECTOR_BYTES
    assert parse(render(state)) == state


def test_the_bytes_are_those_of_uboot() -> None:
    """As `env export -c -s 0x200` writes them: sorted or not, zero-ended words, two zeros at the end."""
    sector = render(BootState(0x1A, "B A", 3, 2))
    assert sector[4:].startswith(b"SKY_SEQ=1a\0SKY_ORDER=B A\0SKY_A_LEFT=3\0SKY_B_LEFT=2\0SKY_A_GOOD=0\0SKY_B_GOOD=0\0")
    assert int.from_bytes(sector[:4], "little") == zlib.crc32(sector[4:])
    data = b"SKY_A_LEFT=1\0SKY_B_LEFT=3\0SKY_ORDER=A B\0SKY_SEQ=ff\0\0".ljust(508, b"\0")
    assert parse(zlib.crc32(data).to_bytes(4, "little") + data) == BootState(255, "A B", 1, 3)


@pytest.mark.parametrize("words", ["SKY_SEQ=1", "SKY_SEQ=x\0SKY_ORDER=A B\0SKY_A_LEFT=3\0SKY_B_LEFT=3"])
def test_a_sound_sector_with_wrong_words_is_not_ours(words: str) -> None:
    data = words.encode().ljust(508, b"\0")
    assert parse(zlib.crc32(data).to_bytes(4, "little") + data) is None


@given(STATES, TRIES, st.integers(0, SECTOR_BYTES), st.booleans())
def test_a_torn_write_leaves_the_old_or_the_new_state(old: BootState, left: int, cut: int, first: bool) -> None:
    new = replace(old, seq=old.seq + 1, a_left=left)
    torn = render(new)[:cut] + EMPTY[cut:]
    copies = (torn, render(old)) if first else (render(old), torn)
    assert choose(copies).state in (old, new)


@given(STATES, STATES)
def test_the_higher_number_counts_and_the_other_copy_is_written_next(one: BootState, two: BootState) -> None:
    found = choose((render(one), render(two)))
    assert found.state is not None
    assert found.state.seq == max(one.seq, two.seq)
    if one.seq != two.seq:
        assert found.free_sector == (SECTORS[1] if one.seq > two.seq else SECTORS[0])


def test_a_gap_that_holds_something_else_is_left_alone() -> None:
    with pytest.raises(BootStateError, match="hold something that is no boot state"):
        choose((b"GRUB".ljust(SECTOR_BYTES, b"\0"), EMPTY))
    assert choose((EMPTY, EMPTY)).state is None


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "card.img"
    path.write_bytes(b"\xee" * SECTORS[0] * SECTOR_BYTES + EMPTY * 2 + b"\xdd" * SECTOR_BYTES)
    return path


def test_writes_alternate_and_touch_nothing_else(card: Path) -> None:
    before = card.read_bytes()
    for number in range(1, 6):
        assert write_state(card, BootState(a_left=number)).seq == number
        assert read_state(card).state == BootState(seq=number, a_left=number)
    after = card.read_bytes()
    start = SECTORS[0] * SECTOR_BYTES
    assert (after[:start], after[start + 1024 :]) == (before[:start], before[start + 1024 :])
    assert {parse(after[start : start + 512]), parse(after[start + 512 : start + 1024])} == {
        BootState(seq=4, a_left=4),
        BootState(seq=5, a_left=5),
    }


def test_a_card_that_is_too_small_or_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"\0" * 512)
    with pytest.raises(BootStateError, match="too small"):
        read_state(tmp_path / "small")
    with pytest.raises(BootStateError, match=r"cannot read the boot state of .*No such file"):
        read_state(tmp_path / "none")


def test_mark_good_gives_the_tries_back_to_one_slot() -> None:
    assert mark_good(BootState(7, "B A", 0, 1), "B") == BootState(7, "B A", 0, 3, b_good=True)


def test_a_bad_slot_has_no_tries_and_comes_last() -> None:
    assert mark_bad(BootState(7, "B A", 2, 1, b_good=True), "B") == BootState(7, "A B", 2, 0)
    assert mark_bad(BootState(7, "A B", 2, 1, a_good=True), "A") == BootState(7, "B A", 0, 1)


def test_the_slot_put_first_has_all_tries_and_no_past() -> None:
    assert put_first(BootState(7, "A B", 2, 0, a_good=True, unclean=3), "B") == BootState(7, "B A", 2, 3, a_good=True)


@given(STATES)
def test_a_boot_loader_older_than_the_slot_loses_only_what_it_does_not_know(state: BootState) -> None:
    """The old boot.scr writes back the four words it knows."""
    words = b"".join(word + b"\0" for word in render(state)[4:].split(b"\0")[:4]).ljust(SECTOR_BYTES - 4, b"\0")
    known = replace(state, a_good=False, b_good=False, unclean=0)
    assert parse(zlib.crc32(words).to_bytes(4, "little") + words) == known


def test_the_kernel_command_line_tells_the_slot() -> None:
    assert read_slot("console=ttyS1,115200 quiet sky.slot=B sky.tree=7\n") == "B"
    assert read_slot("quiet\n") == ""


def bootstate(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "skywire_board.bootstate", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command_line_marks_once(card: Path) -> None:
    write_state(card, BootState(a_left=1))
    done = bootstate("mark-good", "--device", str(card), "--slot", "A", "--json")
    told = json.loads(done.stdout)
    assert {told[word] for word in ("seq", "order", "a_left", "b_left")} == {2, "A B", 3}
    assert (told["a_good"], told["b_good"], told["written"]) == (True, False, True)
    before = card.read_bytes()
    done = bootstate("mark-good", "--device", str(card), "--slot", "A")
    assert done.stdout == "slot A is good already; order A B, tries left A 3, B 3 (write 2)\n"
    assert card.read_bytes() == before
    assert json.loads(bootstate("show", "--device", str(card), "--json").stdout)["seq"] == 2


def test_the_card_is_the_one_that_the_initramfs_links() -> None:
    initramfs = (Path(__file__).parents[2] / "image/initramfs/init").read_text()
    assert f'ln -s "$dev" {CARD};' in initramfs
    assert f'ln -s "${{p}}2" {SLOTS}A; ln -s "${{p}}3" {SLOTS}B\n' in initramfs
    done = bootstate("show")
    assert (done.returncode, done.stderr) == (
        1,
        f"bootstate: cannot read the boot state of '{CARD}': No such file or directory\n",
    )


def test_raucs_backend(card: Path) -> None:
    """The contract of RAUC's `custom` boot loader: what it asks, and what it sets, one program run each."""

    def ask(*words: str) -> str:
        done = bootstate(*words, "--device", str(card), "--slot", "A")
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    write_state(card, BootState(a_left=2, b_left=0, unclean=2))
    assert (ask("get-current"), ask("get-primary"), ask("get-state", "A"), ask("get-state", "B")) == (
        "A", "A", "good", "bad",
    )  # fmt: skip
    ask("set-primary", "B")
    assert (ask("get-primary"), ask("get-state", "B")) == ("B", "good")
    ask("set-state", "B", "bad")
    assert (ask("get-primary"), ask("get-state", "B")) == ("A", "bad")
    ask("set-state", "B", "good")
    state = read_state(card).state
    assert state is not None
    assert replace(state, seq=0) == BootState(a_left=2, b_left=3, b_good=True)
    for wrong in (["get-state", "C"], ["set-state", "A", "fine"], ["set-primary"], ["format"]):
        assert bootstate(*wrong, "--device", str(card)).returncode == 2


def test_unclean_boots_are_forgotten_once(card: Path) -> None:
    write_state(card, BootState(unclean=2))
    assert bootstate("clean", "--device", str(card)).stdout.startswith("unclean boots are forgotten; ")
    before = card.read_bytes()
    assert bootstate("clean", "--device", str(card)).stdout.startswith("no unclean boots; ")
    assert card.read_bytes() == before


def test_command_line_without_a_slot_says_what_to_do(card: Path) -> None:
    done = bootstate("mark-good", "--device", str(card))
    assert (done.returncode, done.stderr) == (
        1,
        "bootstate: sky.slot of the kernel command line is '', expected A or B (say --slot)\n",
    )
    assert bootstate("mark-good", "--slot", "C").returncode == 2
