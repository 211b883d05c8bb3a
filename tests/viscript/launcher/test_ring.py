"""A program's output file: the program appends, and only the end of it takes up memory."""

import os
from pathlib import Path

from viscript.launcher.process.ring import Ring


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
    ring.remove()


def test_broken_text_and_endless_lines_are_tamed(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "x")
    ring.path.write_bytes(b"\xff\n" + b"a" * 5000)
    first, second = ring.last_lines(2)
    assert first == "\N{REPLACEMENT CHARACTER}"
    assert len(second) == 400
