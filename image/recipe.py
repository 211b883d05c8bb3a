"""What the image is to be: the frozen form of recipe.yaml. Read once, before the build touches anything."""

from pathlib import Path

import msgspec
import yaml

from image.errors import RecipeError

HERE = Path(__file__).parent
SECTOR = 512
SECTORS_PER_MIB = 2048


class Newer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Packages that are taken from a later suite, and no other of it."""

    suite: str
    packages: tuple[str, ...]


class Debian(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which suite and packages; names as in Debian."""

    suite: str
    architecture: str
    components: tuple[str, ...]
    packages: tuple[str, ...]
    unpacked: tuple[str, ...]
    kernel: str
    newer: Newer | None = None


class Python(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The interpreter's minor version and the private prefix of our code on the card."""

    version: str
    prefix: str


class Disk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The card's layout: sizes in MiB, boot-state copies as sector numbers before the FAT."""

    id: int
    state_sectors: tuple[int, int]
    fat_start_mib: int
    fat_mib: int
    slot_mib: int

    @property
    def fat_lba(self) -> int:
        return self.fat_start_mib * SECTORS_PER_MIB

    @property
    def slot_lbas(self) -> tuple[int, int]:
        first = (self.fat_start_mib + self.fat_mib) * SECTORS_PER_MIB
        return first, first + self.slot_mib * SECTORS_PER_MIB

    @property
    def data_lba(self) -> int:
        return self.slot_lbas[1] + self.slot_mib * SECTORS_PER_MIB


class Squashfs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Compressor of the root file system and its level."""

    compression: str
    level: int


class Aims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the build and the boots should stay under: seconds, and MB of 10^6 bytes."""

    cold_build_s: float
    warm_build_s: float
    image_xz_mb: float
    root_mb: float
    virt_shell_s: float
    raspi3b_shell_s: float


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of recipe.yaml."""

    epoch: int
    debian: Debian
    python: Python
    disk: Disk
    squashfs: Squashfs
    kernel_args: str
    prune: tuple[str, ...]
    setuid: dict[str, str]
    aims: Aims


def read_recipe(path: Path = HERE / "recipe.yaml") -> Recipe:
    """The recipe in `path`; RecipeError names the file and the key that is wrong."""
    try:
        recipe = msgspec.convert(yaml.safe_load(path.read_text()), Recipe)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise RecipeError(f"recipe '{path}': {error} (correct the file)") from error
    if recipe.disk.state_sectors[1] >= recipe.disk.fat_lba:
        raise RecipeError(f"recipe '{path}': boot state sectors {recipe.disk.state_sectors} reach into the FAT")
    return recipe
