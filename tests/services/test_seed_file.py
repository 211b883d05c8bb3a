"""The seed's file on real file systems: who may read it, what is never overwritten, and what a power cut leaves."""

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import SeedFileError
from services.secrecy import Secret
from services.seed_file import create, read, usual_place
from tests.house.tree import ROOT

SEED = Secret(b"\x5a" * 32)

MAKES = """
import sys
from pathlib import Path
from services.errors import SeedFileError
from services.secrecy import Secret
from services.seed_file import create
try:
    create(Path(sys.argv[1]), Secret(b"Z" * 32))
except SeedFileError as error:
    sys.exit(str(error))
"""

NEEDS_STRACE = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace to inject faults")
ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount and to be two users")


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def made(path: Path, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """`create` in a process of its own."""
    words = [*before, sys.executable, "-c", MAKES, str(path)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


# making


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_only_its_owner_can_read_it_whatever_the_umask(tmp_path: Path, umask: None, mask: int) -> None:
    path = tmp_path / "seed"
    os.umask(mask)
    create(path, SEED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path], "nothing else is left"
    assert read(path) == SEED


def test_missing_folders_are_made_for_the_owner_alone(tmp_path: Path, umask: None) -> None:
    create(tmp_path / "a" / "b" / "seed", SEED)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")} == {0o700}


@given(st.binary(min_size=32, max_size=32).filter(any))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, seed: bytes) -> None:
    path = tmp_path_factory.mktemp("seed") / "seed"
    create(path, Secret(seed))
    assert read(path) == Secret(seed)


@pytest.mark.parametrize("kind", ["file", "folder", "link to a file", "link to nothing"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "seed", tmp_path / "other"
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_bytes(b"older")
    else:
        path.symlink_to(other)
        if kind == "link to a file":
            other.write_bytes(b"older")
    before = {file: file.lstat() for file in tmp_path.iterdir()}
    with pytest.raises(SeedFileError, match=f"'{path}' exists, and a seed is never overwritten"):
        create(path, SEED)
    assert {file: file.lstat() for file in tmp_path.iterdir()} == before


def test_of_many_at_once_one_makes_it(tmp_path: Path) -> None:
    told: list[int | None] = []
    start = threading.Barrier(8)

    def make(number: int) -> None:
        start.wait(30)
        try:
            create(tmp_path / "seed", Secret(bytes([number]) * 32))
        except SeedFileError:
            told.append(None)
        else:
            told.append(number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (winner,) = [number for number in told if number is not None]
    assert read(tmp_path / "seed") == Secret(bytes([winner]) * 32)
    assert len(told) == 8
    assert list(tmp_path.iterdir()) == [tmp_path / "seed"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SeedFileError, match=r"cannot write seed .*file/seed': .* --file PATH"):
        create(tmp_path / "file" / "seed", SEED)


# faults


@ROOT_ONLY
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """On a file system of one page, which is full: the write fails, not the making of the file."""
    script = f"mount -t tmpfs -o size=4k,mode=700 none {tmp_path} && head -c 4096 /dev/zero > {tmp_path}/full && "
    script += '"$@"; code=$?; ls -A ' + str(tmp_path) + "; exit $code"
    done = made(tmp_path / "seed", ("unshare", "--mount", "sh", "-c", script, "sh"))
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert done.stdout.split() == ["full"]


@NEEDS_STRACE
@pytest.mark.parametrize("call", ["write", "fsync", "linkat", "unlink"])
def test_whatever_call_is_the_last_there_is_a_whole_seed_or_none(tmp_path: Path, call: str) -> None:
    """Killed as it enters the call, which is not carried out."""
    path, trace = tmp_path / "folder" / "seed", tmp_path / "trace"
    path.parent.mkdir()
    fault = f"--inject={call}:error=EIO:signal=KILL:when=1"
    done = made(path, ("strace", "-f", "-qq", "-o", str(trace), f"--trace={call}", fault))
    assert done.returncode != 0, "it was to be killed"
    assert f" {call}(" in trace.read_text()
    if call == "unlink":
        assert read(path) == Secret(b"Z" * 32)
    else:
        assert not path.exists()
        assert made(path).returncode == 0, "what the killed one left does no harm"
    assert read(path) == Secret(b"Z" * 32)


@NEEDS_STRACE
def test_the_bytes_are_on_the_disk_before_the_name(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    words = ("strace", "-f", "-qq", "-y", "-o", str(trace), "--trace=openat,write,fsync,linkat,unlink")
    done = made(tmp_path / "new" / "seed", words)
    assert done.returncode == 0, done.stderr
    calls = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines() if str(tmp_path / "new") in line]
    names = [call.partition("(")[0] for call in calls if "O_DIRECTORY" not in call]
    assert names == ["openat", "write", "fsync", "linkat", "unlink", "fsync"]
    assert "O_EXCL" in calls[0]
    assert "0600" in calls[0]
    assert re.search(rf"fsync\(\d+<{tmp_path}/new>\)", calls[-1]), "the folder, last"
    assert re.search(rf"fsync\(\d+<{tmp_path}>\)", trace.read_text()), "and the one that holds the new folder"


# reading


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o610, 0o666, 0o677])
def test_what_others_can_read_is_refused_and_the_command_mends_it(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "it's a seed"
    create(path, SEED)
    path.chmod(mode)
    with pytest.raises(SeedFileError, match=r"others can read it \(run: chmod 600 ") as caught:
        read(path)
    told = re.search(r"\(run: (.*)\)", str(caught.value))
    assert told is not None
    subprocess.run(["sh", "-c", told[1]], timeout=30, check=True)
    assert read(path) == SEED


@ROOT_ONLY
def test_a_seed_of_somebody_else_is_refused_and_the_command_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    create(path, SEED)
    os.chown(path, 65534, -1)
    with pytest.raises(SeedFileError, match=r"belongs to user 65534, and this is user 0 .*chown 0 ") as caught:
        read(path)
    told = re.search(r"or: (chown .*)\)", str(caught.value))
    assert told is not None
    subprocess.run(["sh", "-c", told[1]], timeout=30, check=True)
    assert read(path) == SEED


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702])
def test_a_folder_others_can_write_to_is_refused_and_the_command_mends_it(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "folder" / "seed"
    create(path, SEED)
    path.parent.chmod(mode)
    for use in (lambda: read(path), lambda: create(path.with_name("other"), SEED)):
        with pytest.raises(SeedFileError, match="others can write to it") as caught:
            use()
    told = re.search(r"\(run: (.*)\)", str(caught.value))
    assert told is not None
    subprocess.run(["sh", "-c", told[1]], timeout=30, check=True)
    assert read(path) == SEED


@ROOT_ONLY
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, -1)
    with pytest.raises(SeedFileError, match="belongs to user 65534"):
        create(folder / "seed", SEED)


def test_a_folder_with_the_sticky_bit_keeps_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    create(tmp_path / "seed", SEED)
    assert read(tmp_path / "seed") == SEED


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64, 10**6])
def test_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "seed"
    path.write_bytes(b"Z" * size)
    path.chmod(0o600)
    with pytest.raises(SeedFileError, match=f"it has {size} bytes, expected 32 .*node identity import"):
        read(path)


def test_zeros_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    create(path, Secret(bytes(32)))
    with pytest.raises(SeedFileError, match="all zeros"):
        read(path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    create(tmp_path / "real", SEED)
    (tmp_path / "seed").symlink_to(tmp_path / "real")
    with pytest.raises(SeedFileError, match="it is a symbolic link"):
        read(tmp_path / "seed")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo", 0o600)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in ("folder", "fifo", "socket"):
            with pytest.raises(SeedFileError, match=f"cannot read seed '{tmp_path / name}'"):
                read(tmp_path / name)
    with pytest.raises(SeedFileError, match=r"cannot read seed|cannot keep a seed"):
        read(Path("/dev/zero"))


def test_where_none_is_the_next_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(SeedFileError, match=r"no seed at .*node identity new.*node identity import"):
        read(tmp_path / "none" / "seed")


def test_the_usual_place_is_the_user_s_where_there_is_no_board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if Path("/data/identity").is_dir():
        assert usual_place() == Path("/data/identity/seed")
        return
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert usual_place() == tmp_path / "skywire" / "identity" / "seed"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert usual_place() == tmp_path / ".local" / "share" / "skywire" / "identity" / "seed"
