"""Copies of the log on a card: one per boot, written only when there is news, bounded in number and size."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skywire_board.errors import LogError
from skywire_board.logs.copies import MAX_BOOTS, MAX_FOLDER, MAX_TEXT, copy

BOOT = "0a1b2c3d-0000-0000-0000-000000000000"


def put(folder: Path, text: bytes, boot: str = BOOT, *, always: bool = False) -> Path | None:
    return copy(text, folder / "log", boot, folder / "memory", always=always)


def test_a_boot_has_one_file_that_grows(tmp_path: Path) -> None:
    first = put(tmp_path, b"one\n")
    second = put(tmp_path, b"one\ntwo\n")
    assert first == second is not None
    assert gzip.decompress(second.read_bytes()) == b"one\ntwo\n"
    assert [path.name for path in (tmp_path / "log").iterdir()] == [second.name]


def test_nothing_new_is_not_written_again_but_at_the_end(tmp_path: Path) -> None:
    written = put(tmp_path, b"one\n")
    assert written is not None
    before = written.stat().st_ino
    assert put(tmp_path, b"one\n") is None
    assert written.stat().st_ino == before
    assert put(tmp_path, b"one\n", always=True) == written
    assert written.stat().st_ino != before


def test_of_a_long_log_the_end_is_kept(tmp_path: Path) -> None:
    written = put(tmp_path, b"x" * MAX_TEXT + b"the end\n")
    assert written is not None
    text = gzip.decompress(written.read_bytes())
    assert len(text) == MAX_TEXT
    assert text.endswith(b"the end\n")


def test_old_boots_go(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    for number in range(MAX_BOOTS + 3):
        (log / f"2026010{number:02d}T000000-{number:08x}.log.gz").write_bytes(b"old")
    (log / ".half.new").write_bytes(b"half")
    written = put(tmp_path, b"now\n")
    left = sorted(path.name for path in log.iterdir())
    assert written is not None
    assert written.name in left
    assert len(left) == MAX_BOOTS
    assert "202601000T000000-00000000.log.gz" not in left
    assert not any(name.startswith(".") for name in left)


def test_the_folder_is_bounded_in_bytes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    for number in range(3):
        (log / f"2026010{number}T000000-{number:08x}.log.gz").write_bytes(os.urandom(MAX_FOLDER // 2))
    put(tmp_path, b"now\n")
    assert sum(path.stat().st_size for path in log.iterdir()) <= MAX_FOLDER
    assert len(list(log.iterdir())) == 2


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")
    with pytest.raises(LogError, match="cannot be copied"):
        put(tmp_path, b"one\n")


def test_the_program_copies_its_input(tmp_path: Path) -> None:
    where = ("--folder", f"{tmp_path}/log", "--memory", f"{tmp_path}/memory")
    subprocess.run([sys.executable, "-m", "skywire_board.logs", *where], input=b"said\n", check=True, timeout=60)
    found = list((tmp_path / "log").iterdir())
    assert len(found) == 1
    assert gzip.decompress(found[0].read_bytes()) == b"said\n"
