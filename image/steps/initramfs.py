"""The initramfs: busybox, dmsetup with its libraries, the few modules before the root, and our init. About 3 MB."""

import shutil
from pathlib import Path

from image.recipe import HERE, Recipe
from image.run import Runner
from image.steps.kernel import Kernel, ModuleIndex, read_modules, write_module

FOLDERS = ("bin", "sbin", "dev", "proc", "sys", "run", "new", "modules.d")


def make_initramfs(
    run: Runner, recipe: Recipe, kernel: Kernel, root: Path, unpacked: Path, work: Path, target: Path
) -> None:
    """Writes `target`, a zstd-compressed newc archive (kernel: Documentation/driver-api/early-userspace)."""
    tree = work / "initramfs"
    for name in FOLDERS:
        (tree / name).mkdir(parents=True)
    shutil.copyfile(unpacked / "busybox-static/usr/bin/busybox", tree / "bin/busybox")
    _copy_program(run, root, "/usr/sbin/dmsetup", tree)
    names = []
    for path in ModuleIndex(kernel.modules).closure(read_modules()["initramfs"]):
        names.append(Path(path).name.removesuffix(".xz"))
        write_module(kernel, path, tree / "modules.d" / names[-1])
    (tree / "modules").write_text("".join(f"{name}\n" for name in names))
    (tree / "init").write_text((HERE / "initramfs/init").read_text().replace("@DISK_ID@", f"{recipe.disk.id:08x}"))
    for program in ("init", "bin/busybox", "sbin/dmsetup"):
        (tree / program).chmod(0o755)
    target.write_bytes(run("zstd", "-19", "-q", "-c", stdin=_archive(run, tree, recipe.epoch)))


def _copy_program(run: Runner, root: Path, program: str, tree: Path) -> None:
    """A program of the root and the libraries that the board's own loader names for it."""
    shutil.copyfile(root / program.lstrip("/"), tree / "sbin" / Path(program).name)
    loader = "/usr/lib/ld-linux-aarch64.so.1"
    said = run("chroot", root, loader, "--list", program).decode()
    libraries = [words[2] for line in said.splitlines() if len(words := line.split()) >= 3 and words[1] == "=>"]
    for path in (loader.replace("/usr", ""), *libraries):
        target = tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path.lstrip("/"), target)
        target.chmod(0o755)


def _archive(run: Runner, tree: Path, epoch: int) -> bytes:
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    run("find", tree, "-exec", "touch", "--no-dereference", f"--date=@{epoch}", "{}", "+")
    return run(
        "cpio", "--create", "--format=newc", "--reproducible", "--owner=0:0", "--quiet", "--null",
        stdin="\0".join([".", *names, ""]).encode(), cwd=tree,
    )  # fmt: skip
