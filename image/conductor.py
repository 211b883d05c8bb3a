"""The build, read from top to bottom: settle all that can fail without touching the machine, then make one thing after the other.

Everything is made in a work folder of its own and moved to `dist` at the end, so a build that was cut leaves the former
result in place.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from image.boards import read_boards
from image.cache import cached, key_of
from image.errors import ImageError, StepError
from image.recipe import HERE, Recipe, read_recipe
from image.run import Runner
from image.steps import base, card, initramfs, kernel, manifest, packages, root, slot
from image.tools import BUILD, install_tools

NAME = "skywire-board-arm64"
T = TypeVar("T")


class Wish(msgspec.Struct, frozen=True):
    """What was asked for on the command line."""

    cache: Path
    dist: Path
    mirror: str | None = None
    compress: bool = True
    work: Path | None = None


class Built(msgspec.Struct, frozen=True):
    """What the build left: files, sizes in bytes, seconds, and whether the base root had to be made."""

    image: Path
    packed: Path | None
    root_bytes: int
    image_bytes: int
    packed_bytes: int | None
    seconds: float
    cold: bool


class Progress:
    """Says which step runs and how long it took; a step that fails is named in the error."""

    def __init__(self, run: Runner, log: Path, tell: Callable[[str], None]) -> None:
        self._run, self._log, self._tell = run, log, tell
        self.started = time.monotonic()

    def __call__(self, title: str, step: Callable[..., T], *args: Any) -> T:
        begin = time.monotonic()
        self._run.say(f"=== {title}")
        self._tell(f"  {title:<52}")
        try:
            result = step(*args)
        except (ImageError, OSError) as error:
            raise StepError(f"step '{title}' failed: {error}\n(everything it said is in '{self._log}')") from error
        self._tell(f"{time.monotonic() - begin:7.1f} s\n")
        return result


def build(wish: Wish, tell: Callable[[str], None]) -> Built:
    """Builds the image and leaves it in `wish.dist`; raises StepError naming step, command and log."""
    recipe, boards = read_recipe(), read_boards()
    kernel.read_modules()
    wish.dist.mkdir(parents=True, exist_ok=True)
    log = wish.dist / "build.log"
    with log.open("w") as sink, _work_folder(wish) as work:
        run = Runner(sink, recipe.epoch)
        step = Progress(run, log, tell)
        step("install the tools that are missing", install_tools, run, BUILD)
        mirror = packages.find_mirror(run, wish.mirror)
        apt = step("read Debian's package lists", packages.open_apt, run, recipe.debian, mirror, work / "apt")
        chosen = step("resolve the packages", packages.resolve, run, recipe.debian, apt)
        pool = wish.cache / "debs"
        step("fetch the packages", packages.fetch, run, chosen, apt, pool, work / "apt/archives")
        step("enable emulation of arm64", base.enable_emulation, run)

        base_key = key_of(recipe.debian, recipe.epoch, [p for p in chosen if p.installed], HERE / "steps/base.py")
        cold = not (wish.cache / "base" / f"{base_key}.tar").exists()
        base_tar = step("install Debian into the base root", cached, wish.cache / "base", f"{base_key}.tar",
            lambda tar: base.make_base(run, recipe.debian, chosen, pool, work, tar))  # fmt: skip
        unpacked = step("unpack firmware, U-Boot and kernel", _unpack, run, wish, recipe, chosen, pool)
        linux = kernel.open_kernel(unpacked / "kernel")
        lock = root.TREE / "requirements.lock"
        libraries = step(
            "fetch the Python libraries", cached, wish.cache / "python", key_of(recipe.python, lock),
            lambda folder: root.install_libraries(run, recipe.python, folder),
        )  # fmt: skip
        platform_key = key_of(base_key, chosen, recipe, lock, HERE / "modules.yaml", HERE / "steps")
        platform = step(
            "lay modules, firmware and libraries over the base", cached, wish.cache / "platform", f"{platform_key}.tar",
            lambda tar: root.make_platform(run, recipe, base_tar, linux, unpacked, libraries, work, tar),
        )  # fmt: skip
        tree = work / "root"
        step("add our code, settings and users", root.make_root, run, recipe, platform, tree)
        initrd = work / "initrd"
        step("pack the initramfs", initramfs.make_initramfs, run, recipe, linux, tree, unpacked, work, initrd)
        squashfs = work / "root.squashfs"
        step("pack the root", slot.make_squashfs, run, recipe, tree, squashfs)
        parts = slot.Boot(kernel=unpacked / "kernel.gz", initrd=initrd, dtbs=linux.dtbs)
        slot_file, fat, image = work / "slot", work / "fat.img", work / f"{NAME}.img"
        step("lay out the slot", slot.make_slot, run, recipe, boards, parts, squashfs, work, slot_file)
        files = card.fat_files(run, recipe, boards, unpacked, linux.dtbs, work)
        step("make the boot partition", card.make_fat, run, recipe, files, work, fat)
        step("make the card", card.make_card, run, recipe, fat, slot_file, image)
        root_bytes = int(run.text("du", "--summarize", "--bytes", tree).split()[0])
        packed = step("compress the image", _compress, run, image) if wish.compress else None
        _deliver(run, wish, image, packed, manifest.render_manifest(chosen))
        return Built(
            image=wish.dist / image.name, packed=wish.dist / packed.name if packed else None, root_bytes=root_bytes,
            image_bytes=(wish.dist / image.name).stat().st_size,
            packed_bytes=(wish.dist / packed.name).stat().st_size if packed else None,
            seconds=time.monotonic() - step.started, cold=cold,
        )  # fmt: skip


@contextmanager
def _work_folder(wish: Wish):  # type: ignore[no-untyped-def]
    folder = wish.work or wish.cache / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(run: Runner, wish: Wish, recipe: Recipe, chosen: list[packages.Package], pool: Path) -> Path:
    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        for package in chosen:
            if package.name in recipe.debian.unpacked:
                run("dpkg-deb", "--extract", packages.in_pool(pool, package), folder / package.name)
        kernel.unpack_kernel(run, chosen, pool, folder / "kernel")
        kernel.compress_kernel(kernel.open_kernel(folder / "kernel"), folder / "kernel.gz")

    key = key_of([p for p in chosen if not p.installed], HERE / "steps/kernel.py")
    return cached(wish.cache / "unpacked", key, make)


def _compress(run: Runner, image: Path) -> Path:
    """xz with fixed threads and block size, so that the same image packs to the same bytes on any machine."""
    run("xz", "--keep", "--force", "--threads=2", "--block-size=16MiB", "-1", image, timeout_s=3600)
    return image.with_name(image.name + ".xz")


def _deliver(run: Runner, wish: Wish, image: Path, packed: Path | None, rows: str) -> None:
    for old in wish.dist.glob(f"{NAME}.*"):
        old.unlink()
    listing = wish.dist / f"{NAME}.manifest.tsv"
    listing.write_text(rows)
    for made in filter(None, (image, packed)):
        run("cp", "--sparse=always", made, wish.dist)
    names = [path.name for path in (image, packed, listing) if path]
    (wish.dist / "SHA256SUMS").write_text(run("sha256sum", *names, cwd=wish.dist).decode())
