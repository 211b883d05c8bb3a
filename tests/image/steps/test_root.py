"""What of ours and of others' programs comes into the root."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from image.errors import ImageError
from image.steps.root import OURS, PROGRAMS, install_server


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
