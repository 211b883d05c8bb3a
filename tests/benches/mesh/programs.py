"""The programs that the mesh is measured with and against, from Debian, the newest of the machine's own release and its
backports. They are unpacked into a cache folder and nothing is installed: no service of theirs ever starts.

wireguard-go is there twice, since those from 2023 on (with UDP's segmentation offload, hence much faster) confuse the
addresses of IPv4 and IPv6 peers of one device: nodes, whose manager is on IPv4 and whose routes are IPv6, cannot use
them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.benches.mesh.progress import tell

PACKAGES = {
    "iperf3": "iperf3",
    "tincd": "tinc",
    "yggdrasil": "yggdrasil",
    "wireguard-go": "wireguard-go",
    "wg": "wireguard-tools",
    "nft": "nftables",
    "strace": "strace",
    "ping": "iputils-ping",
}
"""Program → the package it comes in."""

NEWEST = "wireguard-go"
"""Apart from the others, for who wants the backports' one."""

FOLDERS = ("usr/sbin", "usr/bin", "sbin", "bin")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
APT_SOURCES = Path("/etc/apt/sources.list")
DEADLINE_S = 600.0


def cache_folder() -> Path:
    top = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return top / "skywire-board" / "bench"


def fetch_programs(*, newest: bool = False) -> None:
    """Puts them first on this process's PATH; `newest` is the backports' wireguard-go too. Without apt, what the PATH
    has already must do.
    """
    folder = cache_folder() / suite()
    if shutil.which("apt-get") and not (folder / "ready").exists():
        tell(f"unpacking {', '.join(sorted(PACKAGES.values()))} of {suite()} and its backports into '{folder}'")
        unpack(folder)
        (folder / "ready").touch()
    before = [folder / "newest"] if newest else []
    os.environ["PATH"] = with_unpacked([*before, folder / "root"], os.environ.get("PATH", os.defpath))
    libraries = [str(path) for path in (folder / "root").glob("usr/lib/*-linux-gnu*")]
    if libraries:
        os.environ["LD_LIBRARY_PATH"] = ":".join([*libraries, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        raise FileNotFoundError(f"there is no {', '.join(missing)} here (run: apt-get install {' '.join(missing)})")


def with_unpacked(roots: list[Path], path: str) -> str:
    """What another part of the same run has put there is taken out."""
    kept = [place for place in path.split(":") if not place.startswith(str(cache_folder()))]
    return ":".join([*(str(root / name) for root in roots for name in FOLDERS), *kept, "/usr/sbin", "/sbin"])


def unpack(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "lists/partial").mkdir(parents=True)
    environment = private_apt(folder)
    run(["apt-get", "update", "-qq"], environment)
    release, packages = f"{suite()}-backports", list(PACKAGES.values())
    unpack_one(folder, "root", environment, [package for package in packages if package != NEWEST], "-t", release)
    if shutil.which(NEWEST) is None:
        unpack_one(folder, "root", environment, [NEWEST], "-t", suite())
    unpack_one(folder, "newest", environment, [NEWEST], "-t", release)


def unpack_one(folder: Path, root: str, environment: dict[str, str], packages: list[str], *options: str) -> None:
    archives = folder / f"{root}-archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    words = ["apt-get", "install", "--download-only", "--no-install-recommends", "-qq", "-y"]
    run([*words, "-o", f"Dir::Cache::archives={archives}", *options, *packages], environment)
    for archive in sorted(archives.glob("*.deb")):
        run(["dpkg-deb", "--extract", str(archive), str(folder / root)], environment)


def private_apt(folder: Path) -> dict[str, str]:
    """apt with lists and archives of its own, beside the machine's; it knows what is installed, and locks nothing."""
    config, sources = folder / "apt.conf", folder / "sources.list"
    shown = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    found = run(["apt-get", "indextargets", "--format", shown, "Origin: Debian", "Created-By: Packages"], {})
    own = APT_SOURCES.read_text() if APT_SOURCES.exists() else ""
    sources.write_text(own + backports(found.splitlines(), suite()))
    settings = {
        "Dir::Etc::sourcelist": str(sources),
        "Dir::State::lists": str(folder / "lists"),
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
        "APT::Sandbox::User": "root",
    }
    config.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    return {"APT_CONFIG": str(config), "DEBIAN_FRONTEND": "noninteractive"}


def backports(rows: list[str], release: str) -> str:
    """Rows of address, suite and component as a source of the backports on the same mirror; the last one's mirror."""
    mirrors = {component: address for address, suite, component in map(str.split, rows) if suite == release}
    key = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    return "".join(f"deb {key}{address} {release}-backports {part}\n" for part, address in mirrors.items())


def suite() -> str:
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def run(words: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        words, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    if done.returncode != 0:
        raise OSError(f"'{' '.join(words)}' failed: {done.stderr.strip()}")
    return done.stdout


def version_of(program: str) -> str:
    """The package version of what the PATH has."""
    package, found = PACKAGES[program], Path(shutil.which(program) or "")
    for root in ("root", "newest"):
        if found.is_relative_to(cache_folder() / suite() / root):
            archives = sorted((cache_folder() / suite() / f"{root}-archives").glob(f"{package}_*.deb"))
            return archives[-1].name.split("_")[1]
    words = ["dpkg-query", "--show", "--showformat=${Version}", package]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    return done.stdout.strip() or "unknown"
