"""Looks at disks, by sysfs and /proc: what a person should see before one is overwritten, and what forbids it."""

import os
import stat
from pathlib import Path

import msgspec

from image.errors import FlashError

SYS = Path("/sys/dev/block")
MOUNTS = Path("/proc/self/mountinfo")
SWAPS = Path("/proc/swaps")


class Disk(msgspec.Struct, frozen=True):
    """A disk, or a plain file that stands for one. `used_as` says where it or a part of it is mounted or in use."""

    path: Path
    size: int
    model: str = ""
    serial: str = ""
    is_file: bool = False
    is_removable: bool = False
    is_read_only: bool = False
    used_as: tuple[str, ...] = ()


def look(path: Path) -> Disk:
    """FlashError for what is neither a whole disk nor a plain file that exists."""
    try:
        status = path.stat()
    except OSError as error:
        raise FlashError(f"cannot look at '{path}': {error.strerror} (lsblk lists the disks)") from None
    if stat.S_ISREG(status.st_mode):
        return Disk(path, status.st_size, model="a plain file", is_file=True, is_removable=True)
    if not stat.S_ISBLK(status.st_mode):
        raise FlashError(f"'{path}' is neither a disk nor a file (lsblk lists the disks)")
    node = (SYS / f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}").resolve()
    if (node / "partition").exists():
        raise FlashError(f"'{path}' is a partition: name the whole disk, '/dev/{node.parent.name}'")
    return Disk(
        path=path,
        size=int(_read(node / "size") or 0) * 512,
        model=_model(node),
        serial=_read(node / "device/serial"),
        is_removable=_read(node / "removable") == "1" or _read(node / "device/type") == "SD",
        is_read_only=_read(node / "ro") == "1",
        used_as=tuple(_uses(node)),
    )


def check(disk: Disk, need_bytes: int, *, any_disk: bool, mounted: bool) -> None:
    """FlashError when the disk must not be overwritten; the two words of permission are the person's."""
    if disk.is_read_only:
        raise FlashError(f"'{disk.path}' is read-only (a card's adapter has a switch for that)")
    if disk.used_as and not mounted:
        used = ", ".join(disk.used_as)
        raise FlashError(
            f"'{disk.path}' is in use: {used} (umount it first; or, if you know better: --even-if-mounted)"
        )
    if not disk.is_removable and not any_disk:
        told = f"'{disk.path}' ({disk.model or 'no model'}) is not a removable disk"
        raise FlashError(f"{told} (if it is the card all the same: --even-if-not-removable)")
    if disk.size < need_bytes:
        raise FlashError(f"'{disk.path}' holds {size_text(disk.size)}, and {size_text(need_bytes)} are needed")


def size_text(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _model(node: Path) -> str:
    backing = _read(node / "loop/backing_file")
    if backing:
        return f"loop of {backing}"
    return " ".join(
        filter(None, (_read(node / "device/vendor"), _read(node / "device/model") or _read(node / "device/name")))
    )


def _uses(node: Path) -> list[str]:
    """Mounts and swap of the disk and its partitions, and what holds them (LVM, RAID, encryption)."""
    parts = [node, *(path.parent for path in node.glob("*/partition"))]
    numbers = {_read(part / "dev"): part.name for part in parts}
    found = []
    for line in MOUNTS.read_text().splitlines():
        words = line.split()
        if words[2] in numbers:
            found.append(f"{numbers[words[2]]} is mounted on {words[4]}")
    swaps = SWAPS.read_text() if SWAPS.exists() else ""
    found += [f"{part.name} is swap" for part in parts if f"/dev/{part.name} " in swaps]
    return found + [f"{part.name} is held by {held.name}" for part in parts for held in (part / "holders").glob("*")]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
