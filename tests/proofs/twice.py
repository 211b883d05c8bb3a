"""Two builds from the same cached packages that share nothing else: other folder, time zone, umask, date. Byte for byte."""

import hashlib
import os
import subprocess
from pathlib import Path

from image.cache import default_cache
from tests.boot.rows import Table

TREE = Path(__file__).parents[2]
FILES = ("root.squashfs", "fat.img", "skywire-board-arm64.img")


def prove_twice(scratch: Path, table: Table) -> None:
    """Builds twice with a cache that holds nothing but the .debs, and compares root, FAT and image."""
    first = _build(scratch / "one", "Pacific/Kiritimati", 0o022)
    second = _build(scratch / "another-folder", "America/Los_Angeles", 0o077)
    for name in FILES:
        table.add(f"{name} is the same", f"{first[name][:16]} / {second[name][:16]}", first[name] == second[name])


def _build(folder: Path, zone: str, umask: int) -> dict[str, str]:
    """SHA-256 of root, FAT and image of a build from nothing but packages."""
    cache = folder / "cache"
    cache.mkdir(parents=True)
    (cache / "debs").symlink_to(default_cache() / "debs")
    done = subprocess.run(
        [TREE / "image/python", "-m", "image", "build", "--uncompressed", "--cache", cache, "--dist", folder / "dist",
         "--keep", folder / "kept"],
        env=os.environ | {"TZ": zone}, preexec_fn=lambda: os.umask(umask), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    paths = {path.name: path for path in (*(folder / "kept").iterdir(), *(folder / "dist").iterdir())}
    return {name: hashlib.sha256(paths[name].read_bytes()).hexdigest() for name in FILES}
