"""The parser of board files: the one place for what differs between boards, as a strict struct.

Source: `/usr/lib/skywire/boards/*.yaml` (in the tree `image/boards`). The file is chosen by the device tree's
compatible strings. YAML is slow on a small board, so only a file that contains the wanted string is parsed.
"""

from pathlib import Path
from typing import Literal

import msgspec

from skywire_board.errors import BoardFileError

COMPATIBLE_PATHS = (Path("/proc/device-tree/compatible"), Path("/sys/firmware/devicetree/base/compatible"))
BOARDS_PATH = Path("/usr/lib/skywire/boards")


class Gpio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The chip by label and the lines by offset. None is a light or button that is not there."""

    chip: str
    status_led: int | None = None
    activity_led: int | None = None
    button: int | None = None
    leds_active_low: bool = False
    button_active_low: bool = True
    button_pull: Literal["up", "down", "none"] = "up"


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A board file. `compatible`, `dtb`, `firmware` and `console` are read by the image as well.

    `onboard_led` holds names under /sys/class/leds, the first that exists is used. `watchdog`: the hardware's is fed,
    and resets a board that hangs. `fat_dtb` and `stepping` are for the image alone.
    """

    name: str
    compatible: list[str]
    dtb: list[str]
    firmware: list[str]
    gpio: Gpio | None
    onboard_led: list[str]
    console: str
    fat_dtb: dict[str, str] = {}
    stepping: list[int] = []
    watchdog: bool = True


UNKNOWN = Board("unknown board", [], [], [], None, ["ACT", "led0"], "")


def parse_board(text: str, source: str) -> Board:
    """One board file. BoardFileError names `source`, the key and what was expected."""
    import yaml  # noqa: PLC0415  # costs a second on an emulated board, and only one file needs it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        values = yaml.load(text, Loader=loader)  # noqa: S506  # a safe loader either way
        return msgspec.convert(values, Board, strict=True)
    except msgspec.ValidationError as error:
        raise BoardFileError(f"{source}: {error}") from error
    except yaml.YAMLError as error:
        raise BoardFileError(f"{source}: not YAML: {error}") from error


def read_boards(folder: Path) -> list[Board]:
    """Every board file of `folder`, by file name."""
    return [parse_board(path.read_text(), str(path)) for path in sorted(folder.glob("*.yaml"))]


def read_compatible() -> list[str]:
    """The device tree's compatible strings, most specific first; none on a machine without a device tree."""
    for path in COMPATIBLE_PATHS:
        try:
            return [word for word in path.read_bytes().decode("ascii", "replace").split("\0") if word]
        except OSError:
            continue
    return []


def find_board(folder: Path, compatible: list[str]) -> Board:
    """The board that claims the most specific of `compatible`, or UNKNOWN."""
    texts = [(path, path.read_text()) for path in sorted(folder.glob("*.yaml"))]
    for word in compatible:
        for path, text in texts:
            if word in text:
                board = parse_board(text, str(path))
                if word in board.compatible:
                    return board
    return UNKNOWN
