"""The card as QEMU is handed it: opened by a real QEMU, whose guest is never started."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from image.emulator.machine import RASPI3B, VIRT, Wiring, command_line
from image.errors import EmulatorError

pytestmark = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("qemu-img", "qemu-io", "qemu-system-aarch64")), reason="needs QEMU"
)
BAD = 4099


def nodes(folder: Path, wiring: Wiring) -> list[str]:
    """The block devices of the command line, as JSON."""
    words = command_line(VIRT, folder, {"u_boot": folder / "u-boot"}, wiring)
    return [words[at + 1] for at, word in enumerate(words) if word == "-blockdev"]


def read(described: list[str], sector: int) -> str:
    """What a read of a sector of the top node says; the nodes below are put into it, since qemu-io takes one."""
    known = {node["node-name"]: node for node in map(json.loads, described)}
    top = known["card"]
    for key in ("image", "file"):
        if isinstance(top.get(key), str):
            top[key] = known[top[key]]
    done = subprocess.run(
        ["qemu-io", "-c", f"read {sector * 512} 512", f"json:{json.dumps(top)}"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_reads_of_a_bad_sector_fail_and_no_others(tmp_path: Path) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "card.qcow2", "16M"], check=True, timeout=60)
    described = nodes(tmp_path, Wiring(1, "a", "b", bad_sectors=(BAD,)))
    for _ in range(2):
        assert "Input/output error" in read(described, BAD), "again and again, as on a worn card"
    for sector in (BAD - 1, BAD + 1):
        assert "read 512/512 bytes" in read(described, sector)


def test_a_worn_card_can_be_recorded_too(tmp_path: Path) -> None:
    wiring = Wiring(1, "a", "b", write_log=tmp_path / "log", bad_sectors=(BAD,))
    described = [json.loads(text) for text in nodes(tmp_path, wiring)]
    assert [node["driver"] for node in described] == ["qcow2", "blkdebug", "blklogwrites"]
    assert [node["node-name"] for node in described] == ["plain", "worn", "card"]


def test_a_machine_whose_card_is_no_such_device_says_so(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="'raspi3b' \\(use virt\\)"):
        command_line(RASPI3B, tmp_path, {}, Wiring(1, "a", "b", bad_sectors=(BAD,)))
