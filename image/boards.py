"""Which boards the image serves: the keys of boards/*.yaml that the build and the emulator need.

The same files travel on the card, where the supervisor reads its own keys from them; so others are ignored here.
"""

from pathlib import Path

import msgspec
import yaml

from image.errors import RecipeError

HERE = Path(__file__).parent / "boards"


class Gpio(msgspec.Struct, frozen=True):
    """Lines of one gpiochip, by offset."""

    status_led: int | None = None
    activity_led: int | None = None
    button: int | None = None
    leds_active_low: bool = False
    button_active_low: bool = True


class Board(msgspec.Struct, frozen=True):
    """One file of boards/.

    `dtb` as in the kernel's tree, the first as U-Boot's `fdtfile` says it; `fat_dtb` further names under which the
    firmware looks for them; `stepping` a path in the firmware's device tree and what is compatible there where the
    second dtb belongs.
    """

    name: str
    compatible: tuple[str, ...]
    dtb: tuple[str, ...]
    firmware: tuple[str, ...]
    console: str
    gpio: Gpio = Gpio()
    fat_dtb: dict[str, str] = {}
    stepping: dict[str, str] = {}
    slug: str = ""


def read_boards(folder: Path = HERE) -> list[Board]:
    """All boards in order of their file names; RecipeError names the file and the key that is wrong."""
    boards = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            board = msgspec.convert(yaml.safe_load(path.read_text()), Board)
        except (yaml.YAMLError, msgspec.ValidationError) as error:
            raise RecipeError(f"board '{path}': {error} (correct the file)") from error
        boards.append(msgspec.structs.replace(board, slug=path.stem))
    if not boards:
        raise RecipeError(f"no board files in '{folder}'")
    return boards
