"""Card images made by the build's own steps, small and of the real layout, and cards to write to, full of old bytes."""

import io
import random
import subprocess
from pathlib import Path

import msgspec
import pytest

from image.flashing.bmap import make_bmap, render
from image.recipe import HERE, SECTOR, Recipe, read_recipe
from image.run import Runner
from image.steps.card import FOR_PEOPLE, FatFile, make_card, make_fat

OLD = random.Random(7).randbytes(1 << 20)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return read_recipe()


@pytest.fixture(scope="session")
def run() -> Runner:
    return Runner(io.StringIO(), 0)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, run: Runner) -> Path:
    """`card.img` with its map `card.bmap` beside it."""
    work = tmp_path_factory.mktemp("image")
    target = make_image(work, recipe, run, b"boot script, new")
    target.with_suffix(".bmap").write_text(render(make_bmap(target, recipe.disk)))
    return target


def make_image(work: Path, recipe: Recipe, run: Runner, script: bytes) -> Path:
    contents = {
        "boot.scr": script,
        "config.txt": b"arm_64bit=1\n[all]\n",
        "bcm2710.dtb": random.Random(1).randbytes(70_001),
    }
    contents["emulator/u-boot.bin"] = bytes(5000) + b"end"
    for name, data in contents.items():
        (work / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "in" / name).write_bytes(data)
    files = [FatFile(name, work / "in" / name) for name in contents]
    files += [FatFile(name, HERE / "boot_files" / name) for name in FOR_PEOPLE]
    make_fat(run, recipe, files, work, work / "fat.img")
    (work / "slot").write_bytes(random.Random(2).randbytes(3 << 20) + bytes(1 << 20) + b"x" * 4096)
    make_card(run, recipe, work / "fat.img", work / "slot", work / "card.img")
    return work / "card.img"


@pytest.fixture(scope="session")
def small() -> Recipe:
    """Of a card that is written in no time."""
    recipe = read_recipe()
    return msgspec.structs.replace(recipe, disk=msgspec.structs.replace(recipe.disk, fat_mib=36, slot_mib=8))


@pytest.fixture(scope="session")
def small_image(tmp_path_factory: pytest.TempPathFactory, small: Recipe, run: Runner) -> Path:
    return make_image(tmp_path_factory.mktemp("small"), small, run, b"boot script")


@pytest.fixture
def card(tmp_path: Path, recipe: Recipe) -> Path:
    """A plain file, big enough for an image of the real layout."""
    return make_card_file(tmp_path / "a card", recipe, 3 << 30)


@pytest.fixture
def small_card(tmp_path: Path, small: Recipe) -> Path:
    return make_card_file(tmp_path / "a card", small, 100 << 20)


def make_card_file(path: Path, recipe: Recipe, size: int) -> Path:
    """With leftovers of another life where it hurts."""
    disk = recipe.disk
    with path.open("wb") as file:
        file.truncate(size)
        for sector in (0, disk.fat_lba, disk.fat_lba + 2048, disk.slot_lbas[0], disk.slot_lbas[1]):
            file.seek(sector * SECTOR)
            file.write(OLD)
    return path


def read_fat_file(card: Path, recipe: Recipe, name: str) -> bytes:
    place = f"{card}@@{recipe.disk.fat_lba * SECTOR}"
    return subprocess.run(["mtype", "-i", place, f"::{name}"], capture_output=True, check=True).stdout


def check_fat(card: Path, recipe: Recipe, folder: Path) -> None:
    """fsck.vfat over the boot partition."""
    disk, alone = recipe.disk, folder / "alone.fat"
    with card.open("rb") as file:
        file.seek(disk.fat_lba * SECTOR)
        alone.write_bytes(file.read(disk.fat_mib << 20))
    done = subprocess.run(["fsck.vfat", "-n", str(alone)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    alone.unlink()
