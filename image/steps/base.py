"""The base root: Debian's packages installed and configured, as a tar. The only step that runs the board's code here.

mmdebstrap does it, from a folder that holds just the resolved packages, with qemu-user behind binfmt_misc. It depends
on nothing of ours, so it is made once per package list and then comes from the cache.
"""

import os
import shutil
from pathlib import Path

from image.errors import ImageError
from image.recipe import Debian
from image.run import Runner
from image.steps.packages import Package, in_pool

BINFMT = Path("/proc/sys/fs/binfmt_misc")
# ELF, 64 bit, little endian, executable or shared object, machine 183 (AArch64): the ELF specification's e_ident ff.
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


def enable_emulation(run: Runner) -> None:
    """Lets the kernel start AArch64 programs through qemu-user, also inside the root (flag F keeps it open)."""
    if not (BINFMT / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
    if any(BINFMT.glob("qemu-aarch64*")) or os.uname().machine == "aarch64":
        return
    program = next((p for p in ("/usr/bin/qemu-aarch64-static", "/usr/bin/qemu-aarch64") if Path(p).exists()), None)
    if program is None:
        raise ImageError("no qemu-aarch64 here (run: apt-get install qemu-user-static)")
    (BINFMT / "register").write_text(f":qemu-aarch64:M::{MAGIC}:{MASK}:{program}:F")


def make_base(run: Runner, debian: Debian, packages: list[Package], pool: Path, work: Path, tar: Path) -> None:
    """Installs the packages marked so into a root and writes it to `tar`, byte for byte the same for the same list."""
    repository = work / "repository"
    repository.mkdir(parents=True)
    names = []
    for package in packages:
        if package.installed:
            shutil.copyfile(in_pool(pool, package), repository / f"{package.name}.deb")
            names.append(package.name)
    (repository / "Packages").write_bytes(run("apt-ftparchive", "packages", ".", cwd=repository))
    excluded = ("doc", "man", "locale", "info", "lintian", "bug")
    run(
        "mmdebstrap", "--mode=root", "--variant=custom", "--format=tar", f"--architectures={debian.architecture}",
        f"--include={','.join(names)}", "--aptopt=APT::Install-Recommends false", "--aptopt=APT::Sandbox::User root",
        "--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in excluded),
        debian.suite, tar, f"deb [trusted=yes] copy:{repository} ./", timeout_s=5400,
    )  # fmt: skip
