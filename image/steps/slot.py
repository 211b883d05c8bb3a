"""A slot: one partition with everything that an update replaces, so that its parts can never be of different versions.

sector 0    the slot's U-Boot script, which knows all that follows
64          kernel (gzip), initramfs, the boards' dtbs, each at a 4 KiB boundary
then        root file system (squashfs), padded to 4 KiB
then        its dm-verity hash tree; the root hash stands in the script, beside the kernel
"""

import hashlib
import re
from pathlib import Path

import msgspec

from image.boards import Board
from image.errors import ImageError
from image.recipe import SECTOR, Recipe
from image.run import Runner
from image.steps.root import OURS, site_packages
from image.steps.scripts import SCRIPT_SECTORS, Part, crc_words, pack_script, render_slot

BLOCK = 4096
OFTEN_CHANGED = ("etc", "usr/lib/skywire", "usr/lib/systemd/system")
"""Folders that come last in the squashfs, our code behind them: its update moves no block of the others."""


class Boot(msgspec.Struct, frozen=True):
    """Files that U-Boot loads from a slot: kernel, initramfs, and the folder below which the boards' dtbs lie."""

    kernel: Path
    initrd: Path
    dtbs: Path


def make_squashfs(run: Runner, recipe: Recipe, root: Path, target: Path) -> None:
    """The root as squashfs: times, order and block layout depend on its contents alone."""
    sort = target.with_name(f"{target.name}.sort")
    packages = site_packages(recipe.python, root).relative_to(root)
    last = {**dict.fromkeys(OFTEN_CHANGED, -2), str(packages): -1, **{f"{packages}/{name}": -3 for name in OURS}}
    sort.write_text("".join(f"{folder} {priority}\n" for folder, priority in last.items()))
    run(
        "env", "-u", "SOURCE_DATE_EPOCH", "mksquashfs", root, target, "-sort", sort,
        "-quiet", "-no-progress", "-noappend", "-no-xattrs", "-no-exports", "-b", "256K",
        "-comp", recipe.squashfs.compression, "-Xcompression-level", str(recipe.squashfs.level),
        "-all-time", str(recipe.epoch), "-mkfs-time", str(recipe.epoch), timeout_s=3600,
    )  # fmt: skip
    with target.open("ab") as file:
        file.truncate(-(-file.tell() // BLOCK) * BLOCK)


def make_hash_tree(run: Runner, squashfs: Path, tree: Path) -> tuple[str, str]:
    """Writes the dm-verity tree (version 1, SHA-256, no superblock); returns root hash and salt in hex."""
    with squashfs.open("rb") as file:
        salt = hashlib.file_digest(file, "sha256").hexdigest()
    said = run("veritysetup", "format", "--no-superblock", f"--salt={salt}", squashfs, tree).decode()
    found = re.search(r"Root hash:\s+([0-9a-f]{64})", said)
    if not found:
        raise ImageError("veritysetup printed no root hash (see the log)")
    return found[1], salt


def make_slot(
    run: Runner, recipe: Recipe, boards: list[Board], boot: Boot, squashfs: Path, work: Path, target: Path
) -> None:
    """Lays the parts one behind the other and puts the script that finds them in front."""
    tree = work / "root.verity"
    root_hash, salt = make_hash_tree(run, squashfs, tree)
    files = {"kernel": boot.kernel, "initrd": boot.initrd}
    files |= {name: boot.dtbs / name for board in boards for name in board.dtb}
    parts: dict[str, Part] = {}
    with target.open("wb") as slot:
        slot.seek(SCRIPT_SECTORS * SECTOR)
        for name, path in files.items():
            data = path.read_bytes()
            parts[name] = Part(_align(slot.tell()) // SECTOR, len(data), crc_words(data))
            slot.seek(_align(slot.tell()))
            slot.write(data)
        places = []
        for path in (squashfs, tree):
            places.append(_align(slot.tell()))
            slot.seek(places[-1])
            slot.write(path.read_bytes())
        slot.truncate(_align(slot.tell()))
        words = {
            "ROOT_LBA": str(places[0] // SECTOR), "ROOT_BLOCKS": str(squashfs.stat().st_size // BLOCK),
            "TREE_BLOCK": str(places[1] // BLOCK), "ROOT_HASH": root_hash, "SALT": salt,
            "KERNEL_ARGS": recipe.kernel_args,
        }  # fmt: skip
        script = pack_script(run, render_slot(boards, parts, words), work, "slot")
        slot.seek(0)
        slot.write(script)
    if target.stat().st_size > recipe.disk.slot_mib << 20:
        raise ImageError(
            f"the slot has {target.stat().st_size >> 20} MiB, more than {recipe.disk.slot_mib} (image/recipe.yaml)"
        )


def _align(offset: int) -> int:
    return -(-offset // BLOCK) * BLOCK
