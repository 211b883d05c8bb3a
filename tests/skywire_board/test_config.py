"""Overrides: what they change, and how each mistake is told."""

from pathlib import Path

import pytest

from skywire_board.boards import UNKNOWN, Gpio, find_board
from skywire_board.config import parse_config, read_config
from skywire_board.errors import BoardFileError

FOLDER = Path(__file__).parents[2] / "image" / "boards"
PI3 = find_board(FOLDER, ["raspberrypi,3-model-b"])


def test_overrides_replace_what_they_name() -> None:
    text = "gpio:\n  status_led: 5\n  activity_led: none\n  leds_active_low: true\nonboard_led: [PWR]\n"
    board = parse_config(PI3, text, "board.yaml")
    assert board.gpio == Gpio("pinctrl-bcm2835", 5, None, 22, leds_active_low=True)
    assert board.onboard_led == ["PWR"]
    assert board.console == PI3.console


def test_nothing_changes_nothing(tmp_path: Path) -> None:
    assert parse_config(PI3, "# nothing yet\n", "board.yaml") == PI3
    assert read_config(PI3, tmp_path / "none.yaml") == PI3


def test_an_unknown_board_gets_its_chip_from_the_owner() -> None:
    board = parse_config(UNKNOWN, "gpio: {chip: gpiochip_a, status_led: 3}", "board.yaml")
    assert board.gpio == Gpio("gpiochip_a", status_led=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpio:\n  button: red", "board.yaml:2: gpio.button is 'red', expected a line number or none"),
        (
            "gpio:\n\n  colour: 1",
            "board.yaml:3: gpio.colour is '1', expected one of the keys chip, status_led,",
        ),
        ("gpio:\n  leds_active_low: maybe", "gpio.leds_active_low is 'maybe', expected true or false"),
        ("gpio:\n  button_pull: left", "gpio.button_pull is 'left', expected one of up, down, none"),
        (
            "gpio:\n  button: 17",
            r"gpio is a mapping, expected different lines for status_led, .* not \[17, 27, 17\]",
        ),
        ("gpio: 5", "board.yaml:1: gpio is '5', expected keys with values"),
        ("leds: {}", "board.yaml:1: leds is a mapping, expected one of the keys gpio, onboard_led"),
        ("onboard_led: ACT", "board.yaml:1: onboard_led is 'ACT', expected a list of names"),
        ("gpio: [", "board.yaml:1: not YAML"),
        ("just a word", "board.yaml:1: the file is 'just a word', expected keys with values"),
    ],
)
def test_mistakes_name_file_line_key_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(BoardFileError, match=message):
        parse_config(PI3, text, "board.yaml")


def test_an_unknown_board_without_a_chip_says_so() -> None:
    with pytest.raises(BoardFileError, match=r"gpio.chip is a mapping, expected the label of a GPIO chip"):
        parse_config(UNKNOWN, "gpio: {status_led: 3}", "board.yaml")
