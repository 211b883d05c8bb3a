"""A file is whole or as it was, and nothing is left beside it. That it is flushed before its name is seen with the
board's own (`tests/skywire_board/test_durable.py`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from services.durable import write_whole


@pytest.mark.parametrize("durable", [False, True])
def test_what_is_written_has_its_mode_and_leaves_no_draft(tmp_path: Path, durable: bool) -> None:
    place = tmp_path / "note"
    write_whole(place, b"longer before", 0o600, durable=durable)
    write_whole(place, b"two", 0o664, durable=durable)
    assert (place.read_bytes(), place.stat().st_mode & 0o777) == (b"two", 0o664)
    assert list(tmp_path.iterdir()) == [place]


def test_what_cannot_be_written_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/in").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", b"x")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_link_laid_where_the_draft_goes_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / ".note.new").symlink_to(other)
    with pytest.raises(OSError, match="note"):
        write_whole(tmp_path / "note", b"x")
    assert other.read_text() == "kept"
    write_whole(tmp_path / "note", b"x")
