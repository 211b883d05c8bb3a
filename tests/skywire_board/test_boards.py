"""Every board file against the parser, for clashes, and the choice of a file."""

from pathlib import Path

import pytest

from skywire_board.boards import UNKNOWN, find_board, parse_board, read_boards
from skywire_board.errors import BoardFileError

FOLDER = Path(__file__).parents[2] / "image" / "boards"
FILES = sorted(FOLDER.glob("*.yaml"))
CHIP_LINES = {"pinctrl-bcm2835": 54, "pinctrl-bcm2711": 58, "pinctrl-rp1": 54, "9030000.pl061": 8}
TAKEN = {
    "pinctrl-bcm2835": {14, 15, 29, *range(46, 54)},  # console, light, SD card
    "pinctrl-bcm2711": {14, 15, 42, *range(46, 58)},
    "pinctrl-rp1": {14, 15, *range(28, 54)},  # not on the header
    "9030000.pl061": {3},  # the power key
}
FIRMWARE = {"bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_board_file_is_right(path: Path) -> None:
    board = parse_board(path.read_text(), str(path))
    assert board.compatible
    assert board.console.startswith("tty")
    assert set(board.firmware) <= FIRMWARE
    assert all(name.startswith("broadcom/bcm") and name.endswith(".dtb") for name in board.dtb)
    gpio = board.gpio
    assert gpio is not None
    pins = [gpio.status_led, gpio.activity_led, gpio.button]
    assert len(set(pins)) == len(pins)
    assert all(pin is not None and pin < CHIP_LINES[gpio.chip] for pin in pins)
    assert not set(pins) & TAKEN[gpio.chip]


def test_all_boards_of_the_issue_are_there() -> None:
    words = [word for board in read_boards(FOLDER) for word in board.compatible]
    assert len(words) == len(set(words))
    assert set(words) == {
        "raspberrypi,3-model-b",
        "raspberrypi,3-model-b-plus",
        "raspberrypi,3-model-a-plus",
        "raspberrypi,4-model-b",
        "raspberrypi,5-model-b",
        "raspberrypi,model-zero-2-w",
        "linux,dummy-virt",
    }


@pytest.mark.parametrize(
    ("compatible", "name"),
    [
        (["raspberrypi,3-model-b", "brcm,bcm2837"], "Raspberry Pi 3 Model B"),
        (["raspberrypi,3-model-b-plus", "brcm,bcm2837"], "Raspberry Pi 3 Model B+"),
        (["linux,dummy-virt"], "QEMU virt"),
        (["acme,board", "brcm,bcm2837"], "unknown board"),
        ([], "unknown board"),
    ],
)
def test_the_most_specific_word_chooses(compatible: list[str], name: str) -> None:
    assert find_board(FOLDER, compatible).name == name


def test_without_board_files_the_board_is_unknown(tmp_path: Path) -> None:
    assert find_board(tmp_path / "none", ["linux,dummy-virt"]) == UNKNOWN


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "status_led: 17",
            "status_led: red",
            r"b.yaml: Expected `int \| null`, got `str` - at `\$.gpio.status_led`",
        ),
        ("console:", "consoul: x\nconsole:", "b.yaml: Object contains unknown field `consoul`"),
        ("name:", "name: [", "b.yaml: not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(old: str, new: str, message: str) -> None:
    text = (FOLDER / "raspberrypi-3b.yaml").read_text()
    with pytest.raises(BoardFileError, match=message):
        parse_board(text.replace(old, new), "b.yaml")
