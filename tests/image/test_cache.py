"""The build cache: made once, never half, under a key that knows contents and not places."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image.cache import KEPT, UNUSED_DAYS, cached, clear_drafts, clear_unused, key_of

CUT = """
import sys, time
from pathlib import Path
from image.cache import cached
def make(path):
    path.mkdir(); (path / "half").touch(); print("made", flush=True); time.sleep(60)
cached(Path(sys.argv[1]), "entry", make)
"""


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_text("whole")

    for _ in range(2):
        assert cached(tmp_path / "cache", "entry", make).read_text() == "whole"
    assert len(made) == 1


def test_what_failed_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.mkdir()
        (path / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cached(tmp_path, "entry", fail)
    assert list(tmp_path.iterdir()) == []


def test_what_was_killed_leaves_no_entry(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CUT, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"made\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "entry").exists()
    assert cached(tmp_path, "entry", Path.touch).is_file()


def test_use_keeps_an_entry_young(tmp_path: Path) -> None:
    entry = cached(tmp_path, "entry", Path.touch)
    before = time.time() - 1
    os.utime(entry, (0, 0))
    cached(tmp_path, "entry", Path.touch)
    assert entry.stat().st_mtime >= before


@given(st.lists(st.one_of(st.text(), st.integers(0, 2**32)), max_size=4), st.lists(st.text(), max_size=4))
def test_other_causes_other_key(one: list[str | int], two: list[str]) -> None:
    assert (key_of(one) == key_of(two)) == (one == two)


def test_a_key_is_of_contents_and_modes_in_any_place(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place / "code").mkdir(parents=True)
        (tmp_path / place / "code/a.py").write_text("a")
    here, there = tmp_path / "here/code", tmp_path / "there/code"
    assert key_of(here) == key_of(there)
    (there / "__pycache__").mkdir()
    (there / "__pycache__/a.pyc").write_text("noise")
    assert key_of(here) == key_of(there)
    (there / "a.py").chmod(0o755)
    assert key_of(here) != key_of(there)
    (there / "a.py").chmod(0o644)
    (there / "a.py").write_text("b")
    assert key_of(here) != key_of(there)


def test_drafts_of_killed_builds_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        pass
    gone, kept = tmp_path / f"base/.a.tar.{dead.pid}", tmp_path / f"unpacked/.b.{os.getpid()}"
    for path in (gone, kept):
        path.mkdir(parents=True)
        (path / "half").touch()
    clear_drafts(tmp_path)
    assert not gone.exists()
    assert kept.exists()


def test_entries_unused_for_a_month_go(tmp_path: Path) -> None:
    (tmp_path / "debs").mkdir()
    for name, days in (("old.deb", UNUSED_DAYS + 1), ("young.deb", UNUSED_DAYS - 1)):
        path = tmp_path / "debs" / name
        path.touch()
        os.utime(path, (time.time() - days * 86400,) * 2)
    (tmp_path / "venv").mkdir()
    os.utime(tmp_path / "venv", (0, 0))
    clear_unused(tmp_path)
    assert [path.name for path in (tmp_path / "debs").iterdir()] == ["young.deb"]
    assert (tmp_path / "venv").exists()


@pytest.mark.parametrize("folder", sorted(KEPT))
def test_only_the_newest_entries_stay(tmp_path: Path, folder: str) -> None:
    for age in range(KEPT[folder] + 2):
        entry = cached(tmp_path / folder, f"{age}", Path.mkdir)
        os.utime(entry, (time.time() - age,) * 2)
    clear_unused(tmp_path)
    assert {path.name for path in (tmp_path / folder).iterdir()} == {str(age) for age in range(KEPT[folder])}
