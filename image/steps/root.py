"""The root of a slot: the base, the kernel's modules, firmware, our code with its libraries, and the overlay.

What comes from Debian was configured in `base`; here files are laid down and taken away. Programs of the board run in
it through emulation: to compile Python, to make the system users, to index libraries.
"""

import fnmatch
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISGID, S_ISREG, S_ISUID

from image.errors import ImageError
from image.recipe import HERE, Python, Recipe
from image.run import Runner
from image.steps.accounts import pin_accounts, read_accounts, read_rows
from image.steps.kernel import Kernel, install_modules

TREE = HERE.parent
OURS = ("viscript", "services", "skywire_board")
# colorzero names setuptools as a dependency and never imports it; its .pth file would slow every start.
WHEELS = "pip-report.json"
"""Beside the libraries in the cache: which wheels they came from."""
UNUSED_LIBRARIES = ("bin", "setuptools*", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")
SERVICES = {
    "meshnet-messenger": "services.messenger",
    "meshnet-socks-client": "services.socks.client",
    "meshnet-socks-server": "services.socks.server",
    "meshnet-vpn-client": "services.vpn.client",
    "meshnet-vpn-server": "services.vpn.server",
}
PROGRAMS = {
    "apptracker": "services.apptracker",
    "boot-backend": "skywire_board.bootstate",
    "manager": "services.manager",
    "node": "services.node",
    "viscript": "viscript",
    **SERVICES,
}
SCRIPTS = {
    "skywire_board/claim/offer": "claim-offer",
    "skywire_board/claim/merge": "login-keys",
    "skywire_board/claim/read-keys": "read-keys",
}
"""Shell scripts of our packages and their names beside the programs: units and sshd run them."""

FOR_PEOPLE = ("apptracker", "manager", "node", "viscript", *SERVICES)  # found without a path
PYC_HASH_BASED, PYC_CHECKED = 0b01, 0b11  # PEP 552


def install_libraries(run: Runner, python: Python, target: Path) -> None:
    """The locked Python libraries for the board's processor into `target`: wheels by their hashes, nothing compiled."""
    target.mkdir(exist_ok=True)
    run(
        "python3", "-m", "pip", "install", "-qq", "--no-compile", "--require-hashes", "--only-binary=:all:",
        f"--report={target / WHEELS}",
        "--platform=manylinux_2_28_aarch64", "--platform=manylinux_2_17_aarch64", "--platform=manylinux2014_aarch64",
        f"--python-version={python.version}", "--implementation=cp", f"--target={target}",
        "--requirement", TREE / "requirements.lock", timeout_s=900,
    )  # fmt: skip
    for name in UNUSED_LIBRARIES:
        for path in target.glob(name):
            (shutil.rmtree if path.is_dir() else Path.unlink)(path)


def unpack_root(run: Runner, tar: Path, root: Path) -> None:
    """A tar's files with their owners."""
    root.mkdir(parents=True)
    run("tar", "--extract", "--file", tar, "--directory", root, "--numeric-owner", "--same-permissions")


def site_packages(python: Python, root: Path) -> Path:
    """Where our code and its libraries lie in `root`: the prefix is a virtual environment of the board's Python."""
    return root / python.prefix.lstrip("/") / f"lib/python{python.version}/site-packages"


def compile_python(run: Runner, python: Python, root: Path, *folders: str) -> None:
    """Bytecode by the board's own interpreter, bound to its source by hash and not by time."""
    run(
        "chroot", root, f"/usr/bin/python{python.version}", "-I", "-m", "compileall", "-q", "-f", "-j0",
        "--invalidation-mode=unchecked-hash", *folders, timeout_s=1800,
    )  # fmt: skip


def make_platform(
    run: Runner, recipe: Recipe, base: Path, kernel: Kernel, unpacked: Path, libraries: Path, work: Path, tar: Path
) -> None:
    """All of the root that is not ours, as a tar: Debian, modules, firmware, libraries. It changes with them only."""
    root = work / "platform"
    unpack_root(run, base, root)
    install_modules(run, kernel, root)
    install_firmware(unpacked, root)
    install_server(unpacked, root)
    packages = site_packages(recipe.python, root)
    shutil.copytree(libraries, packages, ignore=shutil.ignore_patterns(WHEELS))
    compile_python(run, recipe.python, root, f"/{packages.relative_to(root)}")
    run("chroot", root, "ldconfig")
    prune(root, recipe.prune)
    run("tar", "--create", "--file", tar, "--directory", root, "--numeric-owner", "--sort=name", ".")


def install_code(run: Runner, python: Python, root: Path) -> None:
    """Our packages in the private prefix, with the programs that a person or a unit starts."""
    prefix, packages = root / python.prefix.lstrip("/"), site_packages(python, root)
    for name in OURS:
        shutil.copytree(TREE / name, packages / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copytree(HERE / "boards", prefix / "boards")
    shutil.copyfile(HERE / "initramfs/mount-data", prefix / "mount-data")
    (prefix / "as-shipped.sums").write_text(sum_as_shipped())
    (prefix / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python.version}\n"
    )
    interpreter = prefix / "bin/python3"
    interpreter.parent.mkdir(exist_ok=True)
    interpreter.symlink_to(f"/usr/bin/python{python.version}")
    for name, module in PROGRAMS.items():
        program = prefix / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {python.prefix}/bin/python3 -I -m {module} "$@"\n')
        program.chmod(0o755)
    for script, name in SCRIPTS.items():
        shutil.copyfile(TREE / script, prefix / "bin" / name)
        (prefix / "bin" / name).chmod(0o755)
    for name in FOR_PEOPLE:
        (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
        (root / "usr/local/bin" / name).symlink_to(f"{python.prefix}/bin/{name}")
    compile_python(run, python, root, *(f"/{(packages / name).relative_to(root)}" for name in OURS))


def sum_as_shipped() -> str:
    """What sha256sum says of the boot partition's settings as they come: with them set-up has nothing to do."""
    return f"{hashlib.sha256((HERE / 'boot_files/skywire.yaml').read_bytes()).hexdigest()}  skywire.yaml\n"


def install_firmware(unpacked: Path, root: Path) -> None:
    """Wi-Fi and Bluetooth firmware of the boards, and the regulatory database."""
    target = root / "usr/lib/firmware"
    for package in ("firmware-brcm80211", "raspi-firmware"):
        for chip in ("43430", "43436", "43455", "43456"):
            for file in sorted((unpacked / package).glob(f"usr/lib/firmware/*/brcmfmac{chip}*")):
                _copy(file, target / file.parent.name / file.name)
        for file in sorted((unpacked / package).glob("usr/lib/firmware/cypress/cyfmac43[45]*-sdio.*")):
            _copy(file, target / "cypress" / file.name)
    for name in ("regulatory.db", "regulatory.db.p7s"):
        found = next((unpacked / "wireless-regdb").rglob(f"{name}*"), None)
        if found is None:
            raise ImageError(f"'{name}' is not in wireless-regdb (correct image/steps/root.py)")
        _copy(found, target / name)


def install_server(unpacked: Path, root: Path) -> None:
    """The node manager's NATS server without Debian's unit, user and configuration."""
    found = next((unpacked / "nats-server").glob("usr/*bin/nats-server"), None)
    if found is None:
        raise ImageError("'nats-server' is not in Debian's package of that name (correct image/steps/root.py)")
    target = root / "usr/bin/nats-server"
    shutil.copyfile(found, target)
    target.chmod(0o755)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        target.unlink(missing_ok=True)
        target.symlink_to(source.readlink())
    else:
        shutil.copyfile(source, target)


def lay_overlay(root: Path) -> None:
    """rootfs_overlay over the root: links as links, folders 0755, files 0644 or 0755, sudo's rules 0440."""
    overlay = TREE / "rootfs_overlay"
    for source in sorted(overlay.rglob("*")):
        target = root / source.relative_to(overlay)
        if source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            target.unlink(missing_ok=True)
            target.symlink_to(source.readlink())
        elif source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.unlink(missing_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o440 if target.parent.name == "sudoers.d" else 0o755 if os.access(source, os.X_OK) else 0o644)


def settle(run: Runner, root: Path) -> None:
    """System users, made by the board's own program, with their numbers; then what differs from run to run goes."""
    run("chroot", root, "systemd-sysusers")
    pin_accounts(root, read_accounts())
    for name in ("var/cache/ldconfig/aux-cache", "etc/machine-id", "etc/.pwd.lock", "var/lib/systemd/random-seed"):
        (root / name).unlink(missing_ok=True)
    for backup in root.glob("etc/*-"):
        backup.unlink()
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").touch(mode=0o444)
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    _allow_keys(root / "etc/shadow")
    mount_points = [
        line.split()[3] for line in (root / "usr/lib/skywire/writable").read_text().splitlines() if line[0] == "d"
    ]
    for path in ("/data", "/boot/firmware", *mount_points):
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)


def _allow_keys(shadow: Path) -> None:
    """No user has a password ('*'); sysusers would lock them ('!*'), and sshd refuses keys too for a locked user."""
    shadow.write_text("".join(":".join([row[0], "*", *row[2:]]) + "\n" for row in read_rows(shadow)))


def prune(root: Path, patterns: tuple[str, ...]) -> None:
    """Removes what no board needs; patterns that meet nothing are stale and an error."""
    found = {pattern: sorted(root.glob(pattern)) for pattern in patterns}
    stale = [pattern for pattern, paths in found.items() if not paths]
    if stale:
        quoted = "', '".join(stale)
        raise ImageError(f"prune patterns meet nothing: '{quoted}' (correct image/recipe.yaml)")
    for path in (path for paths in found.values() for path in paths):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def restrict_setuid(root: Path, kept: Mapping[str, str]) -> None:
    """Takes setuid and setgid from every file but those kept, which only root and the group named may start."""
    groups = {row[0]: int(row[2]) for row in read_rows(root / "etc/group")}
    for name, group in kept.items():
        path = root / name
        if not path.is_file() or group not in groups:
            raise ImageError(f"setuid: there is no '{name}' or no group '{group}' (correct image/recipe.yaml)")
        os.chown(path, 0, groups[group])
        path.chmod(0o4750)
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            mode = path.lstat().st_mode
            if S_ISREG(mode) and mode & (S_ISUID | S_ISGID) and str(path.relative_to(root)) not in kept:
                path.chmod(mode & 0o777)


def uncheck_bytecode(root: Path) -> None:
    """Marks hash-based .pyc files as not to be checked: the root is verified, its sources need no second look."""
    for folder, _, names in os.walk(root / "usr"):
        for name in fnmatch.filter(names, "*.pyc"):
            path = Path(folder, name)
            data = path.read_bytes()
            flags = int.from_bytes(data[4:8], "little")
            if not flags & PYC_HASH_BASED:
                raise ImageError(f"'{path}' is bytecode with a time stamp (SOURCE_DATE_EPOCH was not set for it)")
            if flags == PYC_CHECKED:
                path.write_bytes(data[:4] + PYC_HASH_BASED.to_bytes(4, "little") + data[8:])


def make_root(run: Runner, recipe: Recipe, platform: Path, root: Path) -> None:
    """The whole root, in the order in which later parts may rely on earlier ones."""
    unpack_root(run, platform, root)
    install_code(run, recipe.python, root)
    lay_overlay(root)
    settle(run, root)
    restrict_setuid(root, recipe.setuid)
    uncheck_bytecode(root)
