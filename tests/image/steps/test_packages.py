"""What apt prints becomes packages, and what it downloads is believed only by its hash. apt here is a small program."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.errors import ImageError
from image.recipe import Debian
from image.run import Runner
from image.steps.packages import Package, fetch, in_pool, resolve

SUM = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ssh", "kmod", "base", "u-boot")}
DEBIAN = Debian("trixie", "arm64", ("main",), ("ssh", "kmod"), ("u-boot",), "linux-image-arm64")
APT_GET = f"""#!/bin/sh
case $1 in
  install)
    echo "'file:/m/pool/s/ssh_1%3a10.0-7_arm64.deb' ssh_1%3a10.0-7_arm64.deb 123 SHA256:{SUM["ssh"]}"
    echo "'file:/m/pool/k/kmod_34_arm64.deb' kmod_34_arm64.deb 45 SHA256:{SUM["kmod"]}" ;;
  download)
    shift
    for word; do
      case $word in
        linux-base-*) echo "'file:/m/b_2+deb13_arm64.deb' ${{word}}_2+deb13_arm64.deb 9 SHA256:{SUM["base"]}" ;;
        u-boot) echo "'file:/m/u.deb' u-boot_2025.01-3_all.deb 7 SHA256:{SUM["u-boot"]}" ;;
        ssh=*) printf ssh >ssh_1%3a10.0-7_arm64.deb ;;
        kmod=*) printf torn >kmod_34_arm64.deb ;;
      esac
    done ;;
esac
"""
APT_CACHE = "#!/bin/sh\necho linux-image-arm64; echo '  Depends: linux-image-7.3.4+deb13-arm64'\n"
SSH = Package("ssh", "1:10.0-7", SUM["ssh"], 123, installed=True)
KMOD = Package("kmod", "34", SUM["kmod"], 45, installed=True)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    (tmp_path / "bin").mkdir()
    for name, text in (("apt-get", APT_GET), ("apt-cache", APT_CACHE)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    with (tmp_path / "log").open("w") as log:
        yield Runner(log, 0)


def test_apts_lines_become_packages(run: Runner) -> None:
    assert resolve(run, DEBIAN, {}) == [
        KMOD,
        Package("linux-base-7.3.4+deb13-arm64", "2+deb13", SUM["base"], 9, installed=False),
        SSH,
        Package("u-boot", "2025.01-3", SUM["u-boot"], 7, installed=False),
    ]


def test_a_package_is_kept_under_its_hash_and_fetched_once(run: Runner, tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    for _ in range(2):
        fetch(run, [SSH], {}, tmp_path / "pool", archives)
    assert in_pool(tmp_path / "pool", SSH).read_bytes() == b"ssh"
    assert (tmp_path / "log").read_text().count("$ apt-get download") == 1


def test_a_package_with_other_bytes_stops_the_build(run: Runner, tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    with pytest.raises(ImageError, match="package 'kmod 34' was not downloaded whole"):
        fetch(run, [KMOD], {}, tmp_path / "pool", archives)
    assert not in_pool(tmp_path / "pool", KMOD).exists()
