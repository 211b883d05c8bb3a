"""What of ours and of others' programs comes into the root."""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from image.errors import ImageError
from image.recipe import HERE
from image.steps.root import OURS, PROGRAMS, install_server, restrict_setuid, sum_as_shipped


def test_every_program_is_one_of_ours_that_can_be_run() -> None:
    for name, module in PROGRAMS.items():
        assert module.partition(".")[0] in OURS, name
        assert find_spec(f"{module}.__main__") is not None, name


def test_the_nats_server_comes_without_its_package(tmp_path: Path) -> None:
    program = tmp_path / "unpacked/nats-server/usr/sbin/nats-server"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"\x7fELF")
    (tmp_path / "unpacked/nats-server/etc").mkdir()
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    install_server(tmp_path / "unpacked", tmp_path / "root")
    found = [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert found == [tmp_path / "root/usr/bin/nats-server"]
    assert found[0].stat().st_mode & 0o777 == 0o755


def test_a_package_without_the_program_is_told(tmp_path: Path) -> None:
    (tmp_path / "nats-server/usr/share").mkdir(parents=True)
    with pytest.raises(ImageError, match="'nats-server' is not in Debian's package"):
        install_server(tmp_path, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_setuid_is_kept_where_the_recipe_says_so_for_one_group(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("root:x:0:\nadmin:x:986:\n")
    for name, mode in (("sudo", 0o4755), ("su", 0o4755), ("agent", 0o2755), ("ls", 0o755)):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    (tmp_path / "link").symlink_to("su")
    restrict_setuid(tmp_path, {"sudo": "admin"})
    found = {name: (tmp_path / name).stat() for name in ("sudo", "su", "agent", "ls")}
    assert {name: stat.st_mode & 0o7777 for name, stat in found.items()} == {
        "sudo": 0o4750, "su": 0o755, "agent": 0o755, "ls": 0o755,
    }  # fmt: skip
    assert (found["sudo"].st_uid, found["sudo"].st_gid) == (0, 986)
    with pytest.raises(ImageError, match="there is no 'doas' or no group 'admin'"):
        restrict_setuid(tmp_path, {"doas": "admin"})


def test_settings_as_they_come_are_known_by_their_sum() -> None:
    said = subprocess.run(
        ["sha256sum", "skywire.yaml"], cwd=HERE / "boot_files", capture_output=True, check=True
    ).stdout
    assert said.decode() == sum_as_shipped(), "mount-data compares the two as texts"
