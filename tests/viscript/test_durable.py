"""A file is whole or as it was; the order of the system calls is seen from outside, as a card would meet them."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from viscript.durable import write_whole

WRITE = """
import pathlib, sys
from viscript.durable import write_whole
write_whole(pathlib.Path(sys.argv[1]), b"x", 0o600)
"""


def test_what_is_written_has_its_mode_and_leaves_no_draft(tmp_path: Path) -> None:
    place = tmp_path / "new/folder/note"
    write_whole(place, b"one", 0o600)
    write_whole(place, b"two", 0o644)
    assert (place.read_bytes(), place.stat().st_mode & 0o777) == (b"two", 0o644)
    assert list(place.parent.iterdir()) == [place]


def test_without_durability_it_is_whole_all_the_same(tmp_path: Path) -> None:
    place = tmp_path / "note"
    write_whole(place, b"longer before", 0o600, durable=False)
    write_whole(place, b"two", 0o664, durable=False)
    assert (place.read_bytes(), place.stat().st_mode & 0o777) == (b"two", 0o664)
    assert list(tmp_path.iterdir()) == [place]


def test_what_cannot_be_written_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "folder/in").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", b"x")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_link_laid_where_the_draft_goes_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / ".note.new").symlink_to(other)
    write_whole(tmp_path / "note", b"x")
    assert (other.read_text(), (tmp_path / "note").is_symlink()) == ("kept", False)


def test_a_write_that_fails_leaves_what_was_there_and_no_draft(tmp_path: Path) -> None:
    write_whole(tmp_path / "note", b"old")
    with pytest.raises(LookupError):
        write_whole(tmp_path / "note", b"new", owner="nobody-of-that-name")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("note", b"old")]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_it_belongs_to_whom_it_is_for(tmp_path: Path) -> None:
    write_whole(tmp_path / "note", b"x", 0o640, "daemon")
    status = (tmp_path / "note").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (pwd.getpwnam("daemon").pw_uid, 0o640)
    with pytest.raises(LookupError):
        write_whole(tmp_path / "note", b"y", 0o640, "no-such-user")
    assert (tmp_path / "note").read_bytes() == b"x"


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_the_file_is_flushed_before_its_name_and_the_name_after(tmp_path: Path) -> None:
    log = tmp_path / "log"
    calls = "trace=fsync,rename,renameat,renameat2"
    words = ["strace", "-y", "-o", str(log), "-e", calls, sys.executable, "-c", WRITE, str(tmp_path / "note")]
    subprocess.run(words, check=True, timeout=60, cwd=Path(__file__).parents[2])
    told = [re.sub(r"\(.*<(.*)>\).*", r" \1", line).split("(")[0] for line in log.read_text().splitlines()]
    assert told[:3] == [f"fsync {tmp_path}/.note.new", "rename", f"fsync {tmp_path}"]
