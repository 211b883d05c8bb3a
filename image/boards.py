"""Which boards the image serves: the keys of boards/*.yaml that the build and the emulator need.

The same files travel on the card, where the supervisor reads its own keys from them; so others are ignored here.
"""

from pathlib import Path

import msgspec
import yaml

from image.errors import RecipeError

HERE = Path(__file__).parent / "boards"


class Gpio(msgspec.Struct, frozen=True):
    """The gpiochip by its label, and lines of it by offset."""

    chip: str = ""
    status_led: int | None = None
    activity_led: int | None = None
    button: int | None = None
    leds_active_low: bool = False
    button_active_low: bool = True


class Board(msgspec.Struct, frozen=True):
    """One file of boards/.

    `dtb` as in the kernel's tree, the first as U-Boot's `fdtfile` says it; `fat_dtb` further names under which the
    firmware looks for them; `stepping` the revision codes that need the first of two dtbs: all others need the second.
    """

    name: str
    compatible: tuple[str, ...]
    dtb: tuple[str, ...]
    firmware: tuple[str, ...]
    console: str
    gpio: Gpio = Gpio()
    fat_dtb: dict[str, str] = {}
    stepping: tuple[int, ...] = ()
    slug: str = ""


def read_boards(folder: Path = HERE) -> list[Board]:
    """All boards in order of their file names; RecipeError names the file and the key that is wrong."""
    boards = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            board = msgspec.convert(yaml.safe_load(path.read_text()), Board)
        except (yaml.YAMLError, msgspec.ValidationError) as error:
            raise RecipeError(f"board '{path}': {error} (correct the file)") from error
        if len(board.dtb) > 2 or (len(board.dtb) == 2) != bool(board.stepping):
            raise RecipeError(
                f"board '{path}': two dtbs need the revision codes of the first as `stepping`, one needs none"
            )
        boards.append(msgspec.structs.replace(board, slug=path.stem))
    if not boards:
        raise RecipeError(f"no board files in '{folder}'")
    return boards
