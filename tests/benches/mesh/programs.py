"""The programs that the mesh is measured with and against, from Debian, the newest of the machine's own release and its
backports. They are unpacked into a cache folder and nothing is installed: no service of theirs ever starts.
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

FOLDERS = ("usr/sbin", "usr/bin", "sbin", "bin")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
APT_SOURCES = Path("/etc/apt/sources.list")
DEADLINE_S = 600.0


def cache_folder() -> Path:
    top = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return top / "skywire-board" / "bench"


def fetch_programs() -> None:
    """Puts them first on this process's PATH. Without apt, what the PATH has already must do."""
    folder = cache_folder() / suite()
    if shutil.which("apt-get") and not (folder / "ready").exists():
        tell(f"unpacking {', '.join(sorted(PACKAGES.values()))} of {suite()} and its backports into '{folder}'")
        unpack(folder)
        (folder / "ready").touch()
    os.environ["PATH"] = with_unpacked(folder, os.environ.get("PATH", os.defpath))
    libraries = [str(path) for path in (folder / "root").glob("usr/lib/*-linux-gnu*")]
    if libraries:
        os.environ["LD_LIBRARY_PATH"] = ":".join([*libraries, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        raise FileNotFoundError(f"there is no {', '.join(missing)} here (run: apt-get install {' '.join(missing)})")


def with_unpacked(folder: Path, path: str) -> str:
    return ":".join([*(str(folder / "root" / name) for name in FOLDERS), *path.split(":"), "/usr/sbin", "/sbin"])


def unpack(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("lists/partial", "archives/partial", "root"):
        (folder / name).mkdir(parents=True)
    environment = private_apt(folder)
    run(["apt-get", "update", "-qq"], environment)
    words = ["apt-get", "install", "--download-only", "--no-install-recommends", "-qq", "-y"]
    run([*words, "-t", f"{suite()}-backports", *PACKAGES.values()], environment)
    for archive in sorted((folder / "archives").glob("*.deb")):
        run(["dpkg-deb", "--extract", str(archive), str(folder / "root")], environment)


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
        "Dir::Cache::archives": str(folder / "archives"),
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
    """The package version of a program that we unpacked, else what dpkg knows."""
    package = PACKAGES[program]
    archives = sorted((cache_folder() / suite() / "archives").glob(f"{package}_*.deb"))
    if archives:
        return archives[-1].name.split("_")[1]
    words = ["dpkg-query", "--show", "--showformat=${Version}", package]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    return done.stdout.strip() or "unknown"
