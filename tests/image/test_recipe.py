"""Recipe and board files: a mistake is refused with the file, the key and what was expected."""

from pathlib import Path

import pytest

from image.boards import HERE as BOARDS
from image.boards import read_boards
from image.errors import RecipeError
from image.recipe import HERE, SECTORS_PER_MIB, read_recipe


def test_the_layout_follows_from_the_sizes() -> None:
    disk = read_recipe().disk
    assert disk.fat_lba == disk.fat_start_mib * SECTORS_PER_MIB
    assert disk.slot_lbas[0] == disk.fat_lba + disk.fat_mib * SECTORS_PER_MIB
    assert disk.data_lba - disk.slot_lbas[1] == disk.slot_lbas[1] - disk.slot_lbas[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("slot_mib: 512", "slot_mib: big", r"Expected `int`, got `str` - at `\$.disk.slot_mib`"),
        ("slot_mib:", "slot_gib:", r"unknown field `slot_gib` - at `\$.disk`"),
        ("suite: trixie", "suite: [", "while parsing a flow sequence"),
        ("[2046, 2047]", "[2046, 8192]", "reach into the FAT"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (HERE / "recipe.yaml").read_text()
    assert old in text
    (tmp_path / "recipe.yaml").write_text(text.replace(old, new))
    with pytest.raises(RecipeError, match=f"(?s)recipe '.*/recipe.yaml': .*{message}"):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("status_led: 17", "status_led: red", r"Expected `int \| null`, got `str` - at `\$.gpio.status_led`"),
        ("console:", "konsole:", r"missing required field `console`"),
        ("fat_dtb:", "fat_dtb: [1]\nx:", r"Expected `object`, got `array` - at `\$.fat_dtb`"),
        ("fat_dtb:", "stepping: [0xc04170]\nfat_dtb:", "two dtbs need the revision codes"),
    ],
)
def test_a_wrong_board_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (BOARDS / "raspberrypi-3b.yaml").read_text()
    assert old in text
    (tmp_path / "b.yaml").write_text(text.replace(old, new))
    with pytest.raises(RecipeError, match=f"(?s)board '.*/b.yaml': .*{message}"):
        read_boards(tmp_path)


def test_boards_are_found_by_folder(tmp_path: Path) -> None:
    assert [board.slug for board in read_boards()] == [path.stem for path in sorted(BOARDS.glob("*.yaml"))]
    with pytest.raises(RecipeError, match="no board files in"):
        read_boards(tmp_path)
