"""The kernel: which modules go on the card, the compressed kernel, and each board's dtb.

Modules are chosen by name from modules.yaml; what they depend on is read from depmod's own index, not guessed.
"""

import fnmatch
import gzip
import lzma
import shutil
from pathlib import Path

import msgspec
import yaml

from image.errors import ImageError, RecipeError
from image.recipe import HERE
from image.run import Runner
from image.steps.packages import Package, in_pool


class Kernel(msgspec.Struct, frozen=True):
    """An unpacked kernel: its release, the tree that holds lib/modules/<release>, and the folder of its dtbs."""

    release: str
    tree: Path
    dtbs: Path

    @property
    def modules(self) -> Path:
        return self.tree / "lib/modules" / self.release


def read_modules(path: Path = HERE / "modules.yaml") -> dict[str, list[str]]:
    """The groups of modules.yaml, each a list of names or patterns."""
    try:
        return msgspec.convert(yaml.safe_load(path.read_text()), dict[str, list[str]])
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise RecipeError(f"modules '{path}': {error} (correct the file)") from error


def unpack_kernel(run: Runner, packages: list[Package], pool: Path, tree: Path) -> None:
    """Debian's three kernel packages laid out under `tree`/lib/modules, with depmod's index over all of it."""
    for package in packages:
        if package.name.startswith(("linux-base-", "linux-binary-", "linux-modules-")):
            run("dpkg-deb", "--extract", in_pool(pool, package), tree)
    shutil.move(tree / "usr/lib/modules", tree / "lib/modules")
    shutil.rmtree(tree / "usr")
    run("depmod", "-b", tree, open_kernel(tree).release)


def open_kernel(tree: Path) -> Kernel:
    """The kernel that `unpack_kernel` laid out."""
    folders = sorted((tree / "lib/modules").iterdir())
    if len(folders) != 1:
        raise ImageError(f"expected one kernel in '{tree}', found {len(folders)} (empty the build cache)")
    return Kernel(folders[0].name, tree, folders[0] / "dtb")


class ModuleIndex:
    """What depmod knows of a kernel: paths by name, dependencies by path, and the names that are built in."""

    def __init__(self, modules: Path) -> None:
        self._needs: dict[str, list[str]] = {}
        for line in (modules / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            self._needs[path] = needs.split()
        self._path = {module_name(path): path for path in self._needs}
        builtin = (modules / "modules.builtin").read_text().splitlines()
        self.builtin = {module_name(line) for line in builtin}

    def paths(self, pattern: str) -> list[str]:
        """Paths that a name or pattern of modules.yaml means; none for a built-in one; unknown ones are an error."""
        if "/" in pattern:
            wanted = f"kernel/{pattern}.ko*"
            found = [path for path in self._needs if fnmatch.fnmatch(path, wanted)]
        else:
            name = pattern.replace("-", "_")
            found = [path for known, path in self._path.items() if fnmatch.fnmatch(known, name)]
        if not found and not fnmatch.filter(self.builtin, pattern.replace("-", "_")):
            raise RecipeError(f"module '{pattern}' is not in this kernel (correct image/modules.yaml)")
        return sorted(found)

    def closure(self, patterns: list[str]) -> list[str]:
        """Paths of the modules and of all they need, each after what it needs: an order in which insmod succeeds."""
        order: dict[str, None] = {}
        for pattern in patterns:
            for path in self.paths(pattern):
                for needed in [*reversed(self._needs[path]), path]:
                    order.setdefault(needed)
        return list(order)


def module_name(path: str) -> str:
    """'kernel/fs/fat/vfat.ko.xz' is module 'vfat'; dashes are underscores, as in the kernel."""
    return path.rsplit("/", 1)[-1].split(".ko", 1)[0].replace("-", "_")


def install_modules(run: Runner, kernel: Kernel, root: Path) -> None:
    """Puts the chosen modules, uncompressed (squashfs compresses better across them), into `root`."""
    groups = read_modules()
    chosen = ModuleIndex(kernel.modules).closure([name for names in groups.values() for name in names])
    target = root / "usr/lib/modules" / kernel.release
    for path in chosen:
        write_module(kernel, path, target / path.removesuffix(".xz"))
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copyfile(kernel.modules / name, target / name)
    run("depmod", "-b", root / "usr", kernel.release)


def write_module(kernel: Kernel, path: str, target: Path) -> None:
    """One module without its xz layer."""
    target.parent.mkdir(parents=True, exist_ok=True)
    packed = (kernel.modules / path).read_bytes()
    target.write_bytes(lzma.decompress(packed) if path.endswith(".xz") else packed)


def compress_kernel(kernel: Kernel, target: Path) -> None:
    """The kernel as gzip: the only format that every U-Boot of the image can unpack; no name, no time stamp in it."""
    raw = (kernel.modules / "vmlinuz").read_bytes()
    target.write_bytes(raw if raw[:2] == b"\x1f\x8b" else gzip.compress(raw, 9, mtime=0))
