"""The build, read from top to bottom: settle what can fail without touching the machine, then make one after the other.

Everything is made in a work folder of its own and moved to `dist` at the end, so a build that was cut leaves the former
result in place. This module holds the order and the reasons of the cache; how a thing is made is in `steps`.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Concatenate, ParamSpec, TypeVar

import msgspec

from image.boards import Board, read_boards
from image.cache import cached, clear_drafts, clear_unused, hold, key_of
from image.errors import ImageError, StepError
from image.flashing import bmap
from image.recipe import HERE, Recipe, read_recipe
from image.run import Runner
from image.steps import (
    base,
    bundle,
    card,
    deliver,
    imager,
    initramfs,
    kernel,
    manifest,
    packages,
    root,
    sbom,
    slot,
    version,
)
from image.steps.deliver import Figures
from image.tools import BUILD, install_tools

NAME = "skywire-board-arm64"
P = ParamSpec("P")
T = TypeVar("T")


class Wish(msgspec.Struct, frozen=True):
    """What was asked for on the command line."""

    cache: Path
    dist: Path
    mirror: str | None = None
    compress: bool = True
    work: Path | None = None
    keys: bundle.Keys | None = None
    url: str | None = None


class Built(msgspec.Struct, frozen=True):
    """What the build left: the files, and the figures that lie beside them."""

    image: Path
    packed: Path | None
    bundle: Path
    figures: Figures


class Platform(msgspec.Struct, frozen=True):
    """All of the root that is not ours, from the cache, with what it was made of; and the unpacked packages that the
    card is made of as well.
    """

    tar: Path
    libraries: Path
    licences: Path
    unpacked: Path
    linux: kernel.Kernel
    cold: bool


class Progress:
    """Runs steps, says which one runs and how long it took; one that fails is named in the error."""

    def __init__(self, run: Runner, log: Path, tell: Callable[[str], None]) -> None:
        self._run, self._log, self._tell = run, log, tell
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the build began."""
        return time.monotonic() - self._started

    def __call__(self, title: str, step: Callable[Concatenate[Runner, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        begin = time.monotonic()
        self._run.say(f"=== {title}")
        self._tell(f"  {title:<52}")
        try:
            result = step(self._run, *args, **kwargs)
        except (ImageError, OSError) as error:
            self._tell(" failed\n")
            raise StepError(f"step '{title}' failed: {error}\n(everything it said is in '{self._log}')") from error
        except KeyboardInterrupt:
            self._tell("stopped\n")
            raise
        self._tell(f"{time.monotonic() - begin:7.1f} s\n")
        return result

    def once(self, title: str, entry: Path, make: Callable[[Runner, Path], None]) -> Path:
        """A step whose result is taken from the cache when it is there."""
        return self(title, lambda run: cached(entry.parent, entry.name, lambda draft: make(run, draft)))


def build(wish: Wish, tell: Callable[[str], None]) -> Built:
    """Builds the image and leaves it in `wish.dist`; raises StepError naming step, command and log."""
    recipe, boards = read_recipe(), read_boards()
    kernel.read_modules()
    os.umask(0o022)  # modes in the image are the recipe's business, not the caller's
    with _alone(wish) as work, _log(wish) as log:
        step = Progress(Runner(log, recipe.epoch), Path(log.name), tell)
        step("install the tools that are missing", install_tools, BUILD)
        keys = step("find the key of updates", bundle.find_keys, recipe, wish.cache, wish.keys)
        chosen = _fetch_packages(step, wish, recipe, work)
        platform = _make_platform(step, wish, recipe, chosen, work)

        tree, image, update = work / "root", work / f"{NAME}.img", work / f"{NAME}.raucb"
        step("add our code, settings and users", root.make_root, recipe, platform.tar, tree)
        step("add the certificate of updates", bundle.install_certificate, keys, tree)
        name = step("number the version", version.write_version, recipe, platform.unpacked / "kernel.gz", tree)
        slot_file = _make_slot(step, recipe, boards, platform, tree, work)
        fat = _make_fat(step, recipe, boards, platform, work)
        step("make the card", card.make_card, recipe, fat, slot_file, image)
        step("sign the update bundle", bundle.make_bundle, keys, name, slot_file, work, update)

        packed = step("compress the image", _compress, image) if wish.compress else None
        bill = step("write the bill of materials", _render_bill, recipe, chosen, platform, name)
        papers = {"manifest.tsv": manifest.render_manifest(chosen).encode(), "cdx.json": bill}
        root_bytes = step("measure the root", _measure, tree)
        block_map = step("map the blocks that count", _map_blocks, recipe, image)
        made = (image, packed, update, block_map)
        figures = step("leave the results", _deliver, wish.dist, made, papers, step, root_bytes, platform.cold)
        step("list the image for Raspberry Pi Imager", _list_image, wish, recipe, boards, name, image, packed)
        clear_unused(wish.cache)
        there = wish.dist / packed.name if packed else None
        return Built(wish.dist / image.name, there, wish.dist / update.name, figures)


def _fetch_packages(step: Progress, wish: Wish, recipe: Recipe, work: Path) -> list[packages.Package]:
    """The packages that the recipe means today, all of them in the cache's pool."""
    mirror = step("find the mirror", packages.find_mirror, wish.mirror)
    apt = step("read Debian's package lists", packages.open_apt, recipe.debian, mirror, work / "apt")
    chosen = step("resolve the packages", packages.resolve, recipe.debian, apt)
    step("fetch the packages", packages.fetch, chosen, apt, _pool(wish), work / "apt/archives")
    return chosen


def _make_platform(step: Progress, wish: Wish, recipe: Recipe, chosen: list[packages.Package], work: Path) -> Platform:
    """Each part under a key of what it is made of: a change of our code alone finds all of them in the cache."""
    steps, modules, lock = HERE / "steps", HERE / "modules.yaml", root.TREE / "requirements.lock"
    step("enable emulation of arm64", base.enable_emulation)

    base_key = key_of(recipe.debian, recipe.epoch, [p for p in chosen if p.installed], steps / "base.py")
    base_tar = wish.cache / "base" / f"{base_key}.tar"
    cold = not base_tar.exists()
    step.once("install Debian into the base root", base_tar,
        lambda run, tar: base.make_base(run, recipe.debian, chosen, _pool(wish), work, tar))  # fmt: skip

    unpacked = wish.cache / "unpacked" / key_of([p for p in chosen if not p.installed], steps / "kernel.py")
    step.once("unpack firmware, U-Boot and kernel", unpacked,
        lambda run, folder: _unpack(run, recipe, chosen, _pool(wish), folder))  # fmt: skip
    linux = kernel.open_kernel(unpacked / "kernel")

    libraries = wish.cache / "python" / key_of(recipe.python, lock, root.WHEELS)
    step.once("fetch the Python libraries", libraries,
        lambda run, folder: root.install_libraries(run, recipe.python, folder))  # fmt: skip

    licences = wish.cache / "licences" / f"{key_of(chosen, steps / 'sbom.py')}.json"
    step.once("read the packages' licences", licences,
        lambda run, target: sbom.read_licences(run, chosen, _pool(wish), target))  # fmt: skip

    causes = (recipe.epoch, recipe.python, recipe.prune, lock, modules, steps / "kernel.py", steps / "root.py")
    platform = wish.cache / "platform" / f"{key_of(base_key, chosen, *causes)}.tar"
    step.once("lay modules, firmware and libraries over the base", platform,
        lambda run, tar: root.make_platform(run, recipe, base_tar, linux, unpacked, libraries, work, tar))  # fmt: skip
    return Platform(platform, libraries, licences, unpacked, linux, cold)


def _make_slot(step: Progress, recipe: Recipe, boards: list[Board], platform: Platform, tree: Path, work: Path) -> Path:
    """Everything that an update will replace, in one file."""
    initrd, squashfs, target = work / "initrd", work / "root.squashfs", work / "slot"
    unpacked, linux = platform.unpacked, platform.linux
    step("pack the initramfs", initramfs.make_initramfs, recipe, linux, tree, unpacked, work, initrd)
    step("pack the root", slot.make_squashfs, recipe, tree, squashfs)
    parts = slot.Boot(kernel=unpacked / "kernel.gz", initrd=initrd, dtbs=linux.dtbs)
    step("lay out the slot", slot.make_slot, recipe, boards, parts, squashfs, work, target)
    return target


def _make_fat(step: Progress, recipe: Recipe, boards: list[Board], platform: Platform, work: Path) -> Path:
    """The boot partition, which no update replaces."""
    target = work / "fat.img"
    dtbs = platform.linux.dtbs
    files = step("gather the boot files", card.fat_files, recipe, boards, platform.unpacked, dtbs, work)
    step("make the boot partition", card.make_fat, recipe, files, work, target)
    return target


@contextmanager
def _alone(wish: Wish) -> Iterator[Path]:
    """An empty work folder, while no other build uses it or the cache; the one that a killed build left goes."""
    places = {(wish.work or wish.cache).resolve(), wish.cache.resolve()}
    folder = (wish.work or wish.cache) / f"{NAME}.work"
    with ExitStack() as held:
        for place in sorted(places):
            held.enter_context(hold(place))
        clear_drafts(wish.cache)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _log(wish: Wish) -> IO[str]:
    wish.dist.mkdir(parents=True, exist_ok=True)
    return (wish.dist / "build.log").open("w")


def _pool(wish: Wish) -> Path:
    return wish.cache / "debs"


def _unpack(run: Runner, recipe: Recipe, chosen: list[packages.Package], pool: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for package in chosen:
        if package.name in recipe.debian.unpacked:
            run("dpkg-deb", "--extract", packages.in_pool(pool, package), folder / package.name)
    kernel.unpack_kernel(run, chosen, pool, folder / "kernel")
    kernel.compress_kernel(kernel.open_kernel(folder / "kernel"), folder / "kernel.gz")


def _render_bill(_: Runner, recipe: Recipe, chosen: list[packages.Package], platform: Platform, version: str) -> bytes:
    return sbom.render_sbom(recipe, chosen, platform.licences, platform.libraries, version)


def _compress(run: Runner, image: Path) -> Path:
    """xz with fixed threads and block size, so that the same image packs to the same bytes on any machine."""
    run("xz", "--keep", "--force", "--threads=2", "--block-size=16MiB", "-1", image)
    return image.with_name(f"{image.name}.xz")


def _map_blocks(_: Runner, recipe: Recipe, image: Path) -> Path:
    target = image.with_suffix(".bmap")
    target.write_text(bmap.render(bmap.make_bmap(image, recipe.disk)))
    return target


def _list_image(
    _: Runner, wish: Wish, recipe: Recipe, boards: list[Board], name: str, image: Path, packed: Path | None
) -> None:
    there = (wish.dist / (packed or image).name).resolve()
    url = f"{wish.url.rstrip('/')}/{there.name}" if wish.url else there.as_uri()
    text = imager.render_list(boards, name, recipe.epoch, image, packed or image, url)
    draft = wish.dist / ".os_list.json"
    draft.write_bytes(text)
    draft.replace(wish.dist / "os_list.json")


def _measure(run: Runner, tree: Path) -> int:
    return int(run.text("du", "--summarize", "--bytes", tree).split()[0])


def _deliver(
    run: Runner,
    dist: Path,
    made: tuple[Path, Path | None, Path, Path],
    papers: dict[str, bytes],
    step: Progress,
    root_bytes: int,
    cold: bool,
) -> Figures:
    image, packed, *_ = made
    with deliver.drafts(dist, NAME) as folder:
        for path in filter(None, made):
            run("cp", "--sparse=always", path, folder)
        for ending, data in papers.items():
            (folder / f"{NAME}.{ending}").write_bytes(data)
        deliver.write_sums(run, folder)
        packed_bytes = packed.stat().st_size if packed else None
        figures = Figures(step.seconds, cold, root_bytes, image.stat().st_size, packed_bytes)
        deliver.write_figures(figures, folder / f"{NAME}.figures.json")
    return figures
