"""A second slot and its bundle, made in a minute from an image that is there: the same kernel and initramfs, and
another root, or the same root and other words for the kernel.

    changed_root      a version of its own: the root is unpacked, changed, packed again as the build does it, and hashed
    changed_words     nothing but the slot's script differs: `systemd.mask=viscript.service` is a system that fails
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from image.cache import default_cache
from image.recipe import SECTOR, read_recipe
from image.run import Runner
from image.steps.bundle import Keys, find_keys, make_bundle
from image.steps.scripts import SCRIPT_SECTORS, pack_script
from image.steps.slot import BLOCK, make_hash_tree, make_squashfs
from image.steps.version import PLACE

HEADER = 64 + 8  # a legacy image's header, then the script's size and a zero


def take_slot(image: Path, target: Path) -> Path:
    """Slot A of an image, as long as what is in it."""
    disk = read_recipe().disk
    with image.open("rb") as card, target.open("wb") as slot:
        card.seek(disk.slot_lbas[0] * SECTOR)
        head = card.read(SCRIPT_SECTORS * SECTOR)
        words = read_words(head)
        tree = int(words["tree"]) * BLOCK
        blocks = int(words["blocks"])
        while blocks > 1:
            blocks = -(-blocks // (BLOCK // 32))
            tree += blocks * BLOCK
        slot.write(head)
        for _ in range(len(head), tree, BLOCK):
            slot.write(card.read(BLOCK))
    return target


def read_script(head: bytes) -> str:
    """The text of the script at a slot's start."""
    size = int.from_bytes(head[64:68], "big")
    return head[HEADER : HEADER + size].decode()


def read_words(head: bytes) -> dict[str, str]:
    """The kernel's `sky.` words in a slot's script."""
    return dict(re.findall(r"sky\.(\w+)=([0-9a-f]+)", read_script(head)))


def changed_words(run: Runner, slot: Path, work: Path, words: str, target: Path) -> Path:
    """A copy of `slot` whose kernel is given `words` besides."""
    shutil.copyfile(slot, target)
    _put_script(run, target, work, lambda text: text.replace('"${console} ', f'"${{console}} {words} ', 1))
    return target


def changed_root(run: Runner, slot: Path, work: Path, change: Callable[[Path], None], target: Path) -> Path:
    """A copy of `slot` whose root went through `change`."""
    with slot.open("rb") as file:
        old = read_words(file.read(SCRIPT_SECTORS * SECTOR))
    start = int(old["linear"]) * SECTOR
    root, squashfs, tree = work / "other-root", work / "other.squashfs", work / "other.verity"
    shutil.rmtree(root, ignore_errors=True)
    run("unsquashfs", "-quiet", "-no-progress", "-offset", str(start), "-dest", root, slot)
    change(root)
    make_squashfs(run, read_recipe(), root, squashfs)
    shutil.rmtree(root)
    root_hash, salt = make_hash_tree(run, squashfs, tree)
    blocks = squashfs.stat().st_size // BLOCK
    new = {"blocks": str(blocks), "tree": str(start // BLOCK + blocks), "hash": root_hash, "salt": salt}
    with slot.open("rb") as source, target.open("wb") as file:
        file.write(source.read(start))
        for part in (squashfs, tree):
            with part.open("rb") as data:
                shutil.copyfileobj(data, file)
            part.unlink()
    _put_script(run, target, work, lambda text: _with_words(text, new))
    return target


def set_version(version: str) -> Callable[[Path], None]:
    """A change for `changed_root`: another version, and nothing else."""

    def change(root: Path) -> None:
        (root / PLACE).write_text(f"{version}\n")

    return change


def sign(run: Runner, slot: Path, version: str, work: Path, target: Path, keys: Keys | None = None) -> Path:
    """The bundle of a slot, by this machine's development key, which the image was built with."""
    keys = keys or find_keys(run, read_recipe(), default_cache(), None)
    make_bundle(run, keys, version, slot, work, target)
    return target


def _with_words(text: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        text, count = re.subn(rf"sky\.{name}=[0-9a-f]+", f"sky.{name}={value}", text)
        assert count == 1, name
    return text


def _put_script(run: Runner, slot: Path, work: Path, change: Callable[[str], str]) -> None:
    with slot.open("r+b") as file:
        old = read_script(file.read(SCRIPT_SECTORS * SECTOR))
        new = change(old)
        assert new != old, "the slot's script is as it was"
        script = pack_script(run, new, work, "other")
        file.seek(0)
        file.write(script.ljust(SCRIPT_SECTORS * SECTOR, b"\0"))
