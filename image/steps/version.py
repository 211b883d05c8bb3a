"""Which version a slot is: the project's, and what it is made of. Two slots of one version are the same bytes.

0.1.0+3f9c2ab41d07
"""

import hashlib
import os
import stat
import tomllib
from pathlib import Path

from image.cache import key_of
from image.recipe import HERE, Recipe
from image.run import Runner

PLACE = "usr/lib/skywire/version"
DIGITS = 12


def write_version(_: Runner, recipe: Recipe, kernel: Path, root: Path) -> str:
    """Puts the version of a slot with this root and this kernel into the root, and returns it."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["version"]
    causes = (recipe.kernel_args, HERE / "initramfs", HERE / "boot_files/slot.cmd", kernel, digest_of(root))
    version = f"{project}+{hashlib.sha256(key_of(*causes).encode()).hexdigest()[:DIGITS]}"
    (root / PLACE).write_text(f"{version}\n")
    return version


def digest_of(root: Path) -> str:
    """SHA-256 over names, kinds, modes, owners and contents of all that lies in a folder; links are not followed."""
    digest = hashlib.sha256()
    for folder, names, files in os.walk(root):
        names.sort()
        for name in sorted([*names, *files]):
            path = Path(folder, name)
            seen = path.lstat()
            digest.update(f"{path.relative_to(root)}\0{seen.st_mode:o} {seen.st_uid} {seen.st_gid}\0".encode())
            if stat.S_ISREG(seen.st_mode):
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            elif stat.S_ISLNK(seen.st_mode):
                digest.update(str(path.readlink()).encode())
    return digest.hexdigest()
