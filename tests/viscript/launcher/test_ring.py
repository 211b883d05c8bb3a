"""A program's output file: the program appends, and only the end of it takes up memory."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viscript.launcher.model import Output
from viscript.launcher.process.ring import Ring

WITHOUT_HOLES = """
import sys
from pathlib import Path
from viscript.launcher.process.ring import Ring
path = Path(sys.argv[1])
path.write_bytes(b"old." * 10_000)
ring = Ring(path, limit=8192)
assert ring.trim() > 0
with path.open("ab") as file:
    file.write(b"new")
found = ring.read(40_000, 100)
assert set(ring.read(0, 100_000).data[:-3]) == {0}
print(found.start, found.data)
"""


def test_the_end_is_kept_and_the_front_given_back(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "2.out", limit=8192)
    fd = ring.open()
    for number in range(20_000):
        os.write(fd, b"line %d\n" % number)
    ring.trim()
    os.write(fd, b"and on\n")
    os.close(fd)
    assert ring.last_lines(2) == ("line 19999", "and on")
    assert ring.path.stat().st_blocks * 512 <= 3 * 8192


def test_a_ring_without_a_file_is_empty(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "none")
    ring.trim()
    assert ring.last_lines(3) == ()
    assert ring.read(5, 5) == Output(0, b"")
    ring.remove()


def test_broken_text_and_endless_lines_are_tamed(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "x")
    ring.path.write_bytes(b"\xff\n" + b"a" * 5000)
    first, second = ring.last_lines(2)
    assert first == "\N{REPLACEMENT CHARACTER}"
    assert len(second) == 400


@pytest.mark.parametrize("directory", ["/dev/shm", None])  # tmpfs, and whatever the machine's disk has
def test_offsets_stay_true_over_the_hole(tmp_path: Path, directory: str | None) -> None:
    path = Path(directory, f"ring-{os.getpid()}") if directory else tmp_path / "ring"
    ring = Ring(path, limit=8192)
    fd = ring.open()
    try:
        written = b""
        for round_ in range(5):
            data = b"".join(b"line %d of round %d\n" % (number, round_) for number in range(2000))
            os.write(fd, data)
            written += data
            ring.trim()
            output = ring.read(0, 1 << 20)
            assert output.end == len(written)
            assert 8192 <= len(output.data) < 8192 + 2 * os.sysconf("SC_PAGESIZE")
            assert output.data == written[output.start :]
        assert ring.read(len(written) + 100, 10) == Output(len(written), b"")
        assert ring.trim() == 0, "nothing more to give back"
    finally:
        os.close(fd)
        ring.remove()


@given(sizes=st.lists(st.integers(0, 40_000), max_size=8), offset=st.integers(-50_000, 200_000))
def test_whatever_is_asked_for_is_a_true_piece(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], offset: int
) -> None:
    ring, written = Ring(tmp_path_factory.mktemp("r") / "x", limit=8192), b""
    fd = ring.open()
    for size in sizes:
        data = bytes((len(written) + place) % 251 + 1 for place in range(size))
        os.write(fd, data)
        written += data
        ring.trim()
    os.close(fd)
    output = ring.read(offset, 1000)
    assert output.data == written[output.start : output.start + 1000]
    assert output.start >= min(offset, len(written))
    assert output.end == len(written) or output.data, "something comes as long as there is more"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount")
def test_where_there_can_be_no_hole_all_is_let_go_and_offsets_stay_true(tmp_path: Path) -> None:
    """On ramfs, mounted where nobody else sees it."""
    mount = f"mount -t ramfs none {tmp_path} && exec {sys.executable} -c '{WITHOUT_HOLES}' {tmp_path}/x"
    done = subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "40000 b'new'\n", done.stderr


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x" * 100_000)
    (tmp_path / "x").symlink_to(tmp_path / "secret")
    ring = Ring(tmp_path / "x")
    assert ring.trim() == 0
    for use in (ring.open, lambda: ring.read(0, 10)):
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            use()
    assert (tmp_path / "secret").stat().st_blocks * 512 >= 100_000
