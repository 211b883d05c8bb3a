"""The programs that building and booting need, and the Debian packages they come from. Installs what is missing."""

import os
import shutil

from image.errors import ImageError
from image.run import Runner

BUILD = {
    "apt-ftparchive": "apt-utils",
    "arch-test": "arch-test",
    "cpio": "cpio",
    "depmod": "kmod",
    "mcopy": "mtools",
    "mkfs.vfat": "dosfstools",
    "mkimage": "u-boot-tools",
    "mksquashfs": "squashfs-tools",
    "mmdebstrap": "mmdebstrap",
    "openssl": "openssl",
    "qemu-aarch64-static": "qemu-user-static",
    "rauc": "rauc",
    "sfdisk": "fdisk",
    "veritysetup": "cryptsetup-bin",
    "xz": "xz-utils",
    "zstd": "zstd",
}
BOOT = {
    "e2fsck": "e2fsprogs",
    "mcopy": "mtools",
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "qemu-system-aarch64": "qemu-system-arm",
    "sfdisk": "fdisk",
    "ssh": "openssh-client",
    "xz": "xz-utils",
}
SWITCH = {"vde_switch": "vde2"}
FLASH = {"mcopy": "mtools"}


def missing_tools(wanted: dict[str, str]) -> list[str]:
    """Debian packages of the programs that are not on PATH, each once."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return sorted({package for program, package in wanted.items() if shutil.which(program, path=path) is None})


def install_tools(run: Runner, wanted: dict[str, str]) -> None:
    """Installs the missing packages with apt. Without root it says which command would."""
    missing = missing_tools(wanted)
    if not missing:
        return
    if os.geteuid() != 0:
        raise ImageError(f"missing packages {', '.join(missing)} (run: sudo apt-get install {' '.join(missing)})")
    run("apt-get", "update", timeout_s=600)
    run("apt-get", "install", "-y", "--no-install-recommends", *missing, timeout_s=1800)
    still = missing_tools(wanted)
    if still:
        raise ImageError(
            f"packages {', '.join(still)} were installed but their programs are not on PATH '{os.environ.get('PATH')}'"
        )
