"""Two builds from the same cached packages that share nothing else: other folder, time zone, umask and date. Byte for
byte. The date is shifted by libfaketime, which the emulated AArch64 programs of the second build do not see.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from image.cache import default_cache
from image.recipe import SECTOR, SECTORS_PER_MIB, read_recipe
from tests.boot.rows import Table

TREE = Path(__file__).parents[2]
BUILD_DEADLINE_S = 5400
LATER = "+30h"
"""Later than the first build's date, and not so late that the mirror's lists have expired."""

TOOLS = {"faketime": "faketime"}
"""Program → Debian package."""


def prove_twice(scratch: Path, table: Table) -> None:
    """Builds twice with a cache that holds nothing but the .debs, and compares FAT, slot and image."""
    one = _build(scratch / "one", "Pacific/Kiritimati", 0o022, [])
    two = _build(scratch / "another-folder", "America/Los_Angeles", 0o077, ["faketime", "-f", LATER])
    for name in one:
        table.add(f"{name}: the same bytes", f"{one[name][:24]} / {two[name][:24]}", one[name] == two[name])


def _build(folder: Path, zone: str, umask: int, through: list[str]) -> dict[str, str]:
    """SHA-256 of the parts of a build from nothing but packages."""
    cache = folder / "cache"
    cache.mkdir(parents=True)
    (cache / "debs").symlink_to(default_cache() / "debs")
    words = [str(TREE / "image/python"), "-m", "image", "build", "--uncompressed", "--dist", str(folder / "dist")]
    done = subprocess.run(
        ["sh", "-c", f'umask {umask:o}; exec "$@"', "build", *through, *words, "--cache", str(cache)],
        env=os.environ | {"TZ": zone, "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
        capture_output=True, text=True, timeout=BUILD_DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    image = (folder / "dist/skywire-board-arm64.img").read_bytes()
    disk = read_recipe().disk
    fat, slot = disk.fat_lba * SECTOR, disk.slot_lbas[0] * SECTOR
    parts = {
        "boot partition": image[fat : fat + disk.fat_mib * SECTORS_PER_MIB * SECTOR],
        "slot A (kernel, initramfs, root, hash tree)": image[slot:],
        "the .img": image,
    }
    return {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
