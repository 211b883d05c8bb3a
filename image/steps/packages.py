"""Debian packages: which ones the recipe means today, and their files in the cache's pool.

The machine's own apt resolves and downloads, in a private state of its own for the board's architecture, with Debian's
archive keys: so the mirror is the machine's, and every index and package is verified. A package is kept in the pool
under its SHA-256, and what was resolved is a plain list, the first half of the manifest.
"""

import hashlib
import re
import shutil
from pathlib import Path

import msgspec

from image.cache import mark_used
from image.errors import ImageError
from image.recipe import Debian, Newer
from image.run import Runner

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Package(msgspec.Struct, frozen=True, order=True):
    """A .deb: name, version, SHA-256 in hex, size in bytes; configured in the root if `installed`, else unpacked."""

    name: str
    version: str
    sha256: str
    size: int
    installed: bool


class Mirror(msgspec.Struct, frozen=True):
    """Addresses of Debian's archive and of its security archive."""

    main: str
    security: str


def find_mirror(run: Runner, given: str | None) -> Mirror:
    """The mirror given as an option, else that of the machine's own apt configuration."""
    if given:
        return Mirror(given, given.rstrip("/") + "-security")
    main, security = (
        run.text("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", f"Label: {label}").split()
        for label in ("Debian", "Debian-Security")
    )
    if not main:
        raise ImageError("apt has no Debian mirror configured here (run: image/build --mirror ADDRESS)")
    return Mirror(main[0], security[0] if security else main[0].rstrip("/") + "-security")


def open_apt(run: Runner, debian: Debian, mirror: Mirror, folder: Path) -> dict[str, str]:
    """A private apt state in `folder`, its indexes fresh; returns the environment that makes apt use it."""
    for name in ("etc/preferences.d", "lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    options = f"arch={debian.architecture} signed-by={KEYRING}"
    lines = [
        f"deb [{options}] {address} {suite} {' '.join(debian.components)}\n"
        for address, suite in (
            (mirror.main, debian.suite),
            (mirror.main, f"{debian.suite}-updates"),
            (mirror.main, f"{debian.suite}-backports"),
            (mirror.security, f"{debian.suite}-security"),
        )
    ]
    if debian.newer:
        # a mirror that stands still may keep a list of it beyond its date
        lines.append(f"deb [{options} check-valid-until=no] {mirror.main} {debian.newer.suite} main\n")
        (folder / "etc/preferences.d/newer").write_text(render_preferences(debian.newer))
    (folder / "sources.list").write_text("".join(lines))
    settings = {
        "Dir::Etc": f"{folder}/etc", "Dir::Etc::sourcelist": f"{folder}/sources.list",
        "Dir::Etc::sourceparts": "/nonexistent", "Dir::State::lists": f"{folder}/lists",
        "Dir::State::status": f"{folder}/status", "Dir::Cache::archives": f"{folder}/archives",
        "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": "", "APT::Architecture": debian.architecture,
        "APT::Install-Recommends": "false", "Acquire::Languages": "none", "APT::Sandbox::User": "root",
        "Acquire::Retries": "3", "Acquire::ForceHash": "SHA256",
    }  # fmt: skip
    config = folder / "apt.conf"
    config.write_text(
        f'#clear APT::Architectures;\nAPT::Architectures {{ "{debian.architecture}"; }};\n'
        + "".join(f'{key} "{value}";\n' for key, value in settings.items())
    )
    env = {"APT_CONFIG": str(config)}
    run("apt-get", "update", env=env, timeout_s=600)
    return env


def render_preferences(newer: Newer) -> str:
    """apt_preferences(5): these packages from the later suite, and nothing else of it."""
    pin = f"Pin: release n={newer.suite}"
    return f"Package: *\n{pin}\nPin-Priority: -1\n\nPackage: {' '.join(newer.packages)}\n{pin}\nPin-Priority: 990\n"


def resolve(run: Runner, debian: Debian, env: dict[str, str]) -> list[Package]:
    """Every package with version and hash that the recipe means today, sorted by name."""
    wanted = _uris(run, env, "install", *debian.packages, "?essential")
    kernel = _kernel_packages(run, debian, env)
    unpacked = _uris(run, env, "download", *debian.unpacked, *kernel)
    return sorted(
        Package(name, version, sha256, size, installed)
        for installed, found in ((True, wanted), (False, unpacked))
        for name, version, sha256, size in found
    )


def named(run: Runner, env: dict[str, str], *names: str) -> list[Package]:
    """These packages alone, without what they depend on, to be unpacked."""
    return [Package(*found, installed=False) for found in _uris(run, env, "download", *names)]


def _kernel_packages(run: Runner, debian: Debian, env: dict[str, str]) -> list[str]:
    said = run("apt-cache", "depends", "--important", f"{debian.kernel}/{debian.suite}-backports", env=env).decode()
    found = re.search(r"Depends: linux-image-([0-9]\S+)", said)
    if not found:
        raise ImageError(f"'{debian.kernel}' of {debian.suite}-backports names no kernel (see the log)")
    return [f"linux-{part}-{found[1]}" for part in ("base", "binary", "modules")]


def _uris(run: Runner, env: dict[str, str], verb: str, *names: str) -> list[tuple[str, str, str, int]]:
    said = run("apt-get", verb, "--print-uris", "-qq", "-y", *names, env=env).decode()
    rows = re.findall(r"^'[^']+' (\S+?)_(\S+?)_\S+?\.deb (\d+) (?:SHA256:)(\w{64})", said, re.MULTILINE)
    return [(name, version.replace("%3a", ":"), sha256, int(size)) for name, version, size, sha256 in rows]


def fetch(run: Runner, packages: list[Package], env: dict[str, str], pool: Path, archives: Path) -> None:
    """Brings every package into the pool; one whose bytes do not hash to what was resolved stops the build."""
    pool.mkdir(parents=True, exist_ok=True)
    missing = [p for p in packages if not in_pool(pool, p).exists()]
    if missing:
        run("apt-get", "download", *(f"{p.name}={p.version}" for p in missing), env=env, cwd=archives)
    for package in missing:
        file = archives / f"{package.name}_{package.version.replace(':', '%3a')}"
        found = next(archives.glob(f"{file.name}_*.deb"), None)
        if found is None or hashlib.sha256(found.read_bytes()).hexdigest() != package.sha256:
            raise ImageError(f"package '{package.name} {package.version}' was not downloaded whole (run it again)")
        shutil.move(found, in_pool(pool, package))
    for package in packages:
        mark_used(in_pool(pool, package))


def in_pool(pool: Path, package: Package) -> Path:
    """The place of a package's file, whether it is there or not."""
    return pool / f"{package.sha256}.deb"
