"""U-Boot's scripts: each board's lines, the sums in U-Boot's byte order, and no word left open."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image.boards import Board, Gpio, read_boards
from image.errors import ImageError
from image.steps.scripts import Part, crc_words, render_boot, render_slot

WORDS = dict.fromkeys(("ROOT_LBA", "ROOT_BLOCKS", "TREE_BLOCK", "ROOT_HASH", "SALT", "KERNEL_ARGS"), "1")
PARTS = {"kernel": Part(64, 0x1000, ("aa", "a0")), "initrd": Part(72, 0x200, ("bb", "b0"))}
DRIVEN = "pinctrl-bcm2835"


def board(
    *dtb: str, led: int | None = None, active_low: bool = False, chip: str = DRIVEN, stepping: tuple[int, ...] = ()
) -> Board:
    gpio = Gpio(chip, status_led=led, leds_active_low=active_low)
    return Board("x", ("acme,x",), dtb, (), "ttyS1,115200", gpio, stepping=stepping)


@given(st.binary(max_size=64))
def test_a_sum_is_what_u_boot_shows(data: bytes) -> None:
    """`crc32 ADDR N DEST` stores in one of two byte orders; `setexpr.l` reads little endian, without leading zeros."""
    (shown,) = struct.unpack("<I", struct.pack(">I", zlib.crc32(data)))
    assert crc_words(data) == (f"{zlib.crc32(data):x}", f"{shown:x}")


def test_a_light_is_lit_by_its_polarity_and_boards_without_one_have_no_line() -> None:
    boards = [board("a.dtb", led=17), board("b.dtb", led=4, active_low=True), board("c.dtb"), board(led=1)]
    boards += [board("d.dtb", led=17, chip="pinctrl-rp1")]  # U-Boot has no driver for it
    text = render_boot(boards, (2046, 2047))
    assert 'if test "${fdtfile}" = "a.dtb"; then gpio set 17; fi' in text
    assert 'if test "${fdtfile}" = "b.dtb"; then gpio clear 4; fi' in text
    assert text.count("then gpio ") == 2
    assert "read ${state0} 7fe 2" in text


def test_a_slot_says_where_its_parts_lie() -> None:
    text = render_slot([board("a.dtb")], PARTS | {"a.dtb": Part(80, 0x80, ("cc", "c0"))}, WORDS)
    assert "setenv lba 40; setenv n 1000; setenv sum aa; setenv mus a0; setenv to ${kernel}; run load" in text
    assert "setenv lba 48; setenv n 200; setenv sum bb; setenv mus b0; setenv to ${initrd}; run load" in text
    assert 'if test "${fdtfile}" = "a.dtb"; then\n  setenv console console=ttyS1,115200\n' in text
    assert "setenv dtb_lba 50; setenv dtb_n 80; setenv dtb_sum cc; setenv dtb_mus c0" in text


def test_revisions_that_are_not_listed_get_the_second_steppings_dtb() -> None:
    parts = PARTS | {"c.dtb": Part(80, 1, ("cc", "c0")), "d.dtb": Part(81, 1, ("dd", "d0"))}
    text = render_slot([board("c.dtb", "d.dtb", stepping=(0xC04170, 0xD04170))], parts, WORDS)
    for line in (
        "  setenv dtb_lba 50; setenv dtb_n 1; setenv dtb_sum cc; setenv dtb_mus c0",
        '  if test -n "${board_revision}"; then',
        "    setexpr rev ${board_revision} \\& ffffff",
        "    if itest ${rev} != c04170 && itest ${rev} != d04170; then",
        "      setenv dtb_lba 51; setenv dtb_n 1; setenv dtb_sum dd; setenv dtb_mus d0",
    ):
        assert f"{line}\n" in text
        text = text[text.index(line) :]


def test_every_board_of_the_tree_is_rendered() -> None:
    boards = read_boards()
    names = [dtb for each in boards for dtb in each.dtb]
    sums = {name: f"{number:x}" for number, name in enumerate(names, 0xA00)}
    text = render_slot(boards, PARTS | {name: Part(1, 1, (sum_, sum_)) for name, sum_ in sums.items()}, WORDS)
    assert [name for name, sum_ in sums.items() if f"dtb_sum {sum_};" not in text] == []


def test_a_word_that_is_not_filled_in_is_an_error() -> None:
    with pytest.raises(ImageError, match="ROOT_HASH"):
        render_slot([], PARTS, {name: value for name, value in WORDS.items() if name != "ROOT_HASH"})
