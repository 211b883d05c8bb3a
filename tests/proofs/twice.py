"""Two builds from the same cached packages that share nothing else but the key of updates, whose certificate is in the
root: other folder, time zone, umask and date. Byte for byte. The second build's tools run under libfaketime; Python
does not (its sleep fails there), nor do the emulated AArch64 programs, which cannot load it.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from image.cache import default_cache
from image.recipe import SECTOR, SECTORS_PER_MIB, read_recipe
from image.tools import BUILD
from tests.boot.rows import Table

TREE = Path(__file__).parents[2]
BUILD_DEADLINE_S = 5400
LATER = "+30h"
"""Later than the first build's date, and not so late that the mirror's lists have expired."""

TOOLS = {"faketime": "faketime"}
"""Program → Debian package."""


def prove_twice(scratch: Path, table: Table) -> None:
    """Builds twice with a cache that holds nothing but .debs and the key, and compares FAT, slot and image."""
    one = _build(scratch / "one", "Pacific/Kiritimati", 0o022, None)
    two = _build(scratch / "another-folder", "America/Los_Angeles", 0o077, _later_tools(scratch / "later"))
    for name in one:
        table.add(f"{name}: the same bytes", f"{one[name][:24]} / {two[name][:24]}", one[name] == two[name])


def _later_tools(folder: Path) -> Path:
    """A folder for PATH with the build's own programs, each as it runs on a later date; files keep their own dates."""
    folder.mkdir()
    for name in BUILD:
        program = shutil.which(name)
        assert program, name
        if not name.startswith("qemu-"):
            wrapper = folder / name
            wrapper.write_text(f'#!/bin/sh\nNO_FAKE_STAT=1 exec faketime -f {LATER} {program} "$@"\n')
            wrapper.chmod(0o755)
    return folder


def _keys() -> Path:
    """The folder of this machine's development key, which a build makes when there is none."""
    folder = default_cache() / "keys"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _build(folder: Path, zone: str, umask: int, tools: Path | None) -> dict[str, str]:
    """SHA-256 of the parts of a build from nothing but packages."""
    cache = folder / "cache"
    cache.mkdir(parents=True)
    (cache / "debs").symlink_to(default_cache() / "debs")
    (cache / "keys").symlink_to(_keys())
    path = os.environ["PATH"]
    words = [str(TREE / "image/python"), "-m", "image", "build", "--uncompressed", "--dist", str(folder / "dist")]
    done = subprocess.run(
        ["sh", "-c", f'umask {umask:o}; exec "$@"', "build", *words, "--cache", str(cache)],
        env=os.environ | {"TZ": zone, "PATH": f"{tools}:{path}" if tools else path},
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
