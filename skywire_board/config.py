"""Overrides of a board file by the owner: another pin, another polarity, no light. Optional, strict, small.

    gpio: {status_led: 5, activity_led: none, button: 6, leds_active_low: true, button_active_low: false,
    button_pull: none} onboard_led: [PWR] watchdog: false

`none` takes a light or the button away. Errors name file, line, key and what was expected.
"""

from pathlib import Path
from typing import Any

import msgspec

from skywire_board.boards import Board, Gpio
from skywire_board.errors import BoardFileError

CONFIG_PATH = Path("/data/board.yaml")
PIN_KEYS = ("status_led", "activity_led", "button")
FLAG_KEYS = ("leds_active_low", "button_active_low")
PULLS = ("up", "down", "none")
GPIO_KEYS = ("chip", *PIN_KEYS, *FLAG_KEYS, "button_pull")


def read_config(board: Board, path: Path) -> Board:
    """`board` with the overrides of `path`; unchanged when there is no such file."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return board
    except (OSError, UnicodeDecodeError) as error:
        raise BoardFileError(f"cannot read '{path}': {error}") from error
    return parse_config(board, text, str(path))


def parse_config(board: Board, text: str, source: str) -> Board:
    """`board` with the overrides written in `text`."""
    import yaml  # noqa: PLC0415  # costs a second on an emulated board, and most have no overrides

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BoardFileError(f"{source}:{line}: not YAML: {error.problem}") from error
    if root is None:
        return board
    changes: dict[str, Any] = {}
    for key, node in _pairs(root, source, "the file"):
        if key == "gpio":
            changes["gpio"] = _gpio(board.gpio, node, source)
        elif key == "onboard_led":
            changes["onboard_led"] = _names(node, source)
        elif key == "watchdog":
            changes["watchdog"] = _flag(key, node, source)
        else:
            raise _wrong(node, source, key, "one of the keys gpio, onboard_led, watchdog")
    return msgspec.structs.replace(board, **changes)


def _gpio(gpio: Gpio | None, node: Any, source: str) -> Gpio:
    values: dict[str, Any] = {} if gpio is None else msgspec.structs.asdict(gpio)
    for key, value in _pairs(node, source, "gpio"):
        if key not in GPIO_KEYS:
            raise _wrong(value, source, f"gpio.{key}", f"one of the keys {', '.join(GPIO_KEYS)}")
        values[key] = _gpio_value(key, value, source)
    if "chip" not in values:
        raise _wrong(node, source, "gpio.chip", "the label of a GPIO chip, as this board is unknown (see gpiodetect)")
    pins = [values[key] for key in PIN_KEYS if values.get(key) is not None]
    if len(set(pins)) != len(pins):
        raise _wrong(node, source, "gpio", f"different lines for {', '.join(PIN_KEYS)}, not {pins}")
    return Gpio(**values)


def _gpio_value(key: str, node: Any, source: str) -> Any:
    word = node.value if isinstance(node.value, str) else ""
    if key in PIN_KEYS:
        if word == "none":
            return None
        if word.isdecimal():
            return int(word)
        raise _wrong(node, source, f"gpio.{key}", "a line number or none")
    if key in FLAG_KEYS:
        return _flag(f"gpio.{key}", node, source)
    if key == "button_pull" and word not in PULLS:
        raise _wrong(node, source, f"gpio.{key}", f"one of {', '.join(PULLS)}")
    if not word:
        raise _wrong(node, source, f"gpio.{key}", "a word")
    return word


def _flag(key: str, node: Any, source: str) -> bool:
    if node.value not in ("true", "false"):
        raise _wrong(node, source, key, "true or false")
    return bool(node.value == "true")


def _names(node: Any, source: str) -> list[str]:
    if not isinstance(node.value, list) or any(not isinstance(item.value, str) for item in node.value):
        raise _wrong(node, source, "onboard_led", "a list of names under /sys/class/leds")
    return [item.value for item in node.value]


def _pairs(node: Any, source: str, key: str) -> list[tuple[str, Any]]:
    if node.id != "mapping":
        raise _wrong(node, source, key, "keys with values")
    return [(str(name.value), value) for name, value in node.value]


def _wrong(node: Any, source: str, key: str, want: str) -> BoardFileError:
    line = node.start_mark.line + 1
    said = f"'{node.value}'" if isinstance(node.value, str) else f"a {node.id}"
    return BoardFileError(f"{source}:{line}: {key} is {said}, expected {want}")
