"""The list for Raspberry Pi Imager: true sums, and the keys that its schema requires."""

import hashlib
import json
from pathlib import Path

from image.boards import read_boards
from image.steps.imager import device_tags, render_list

REQUIRED = {
    "name",
    "description",
    "icon",
    "url",
    "extract_size",
    "extract_sha256",
    "image_download_size",
    "release_date",
}


def test_an_entry_tells_the_image(tmp_path: Path) -> None:
    image, packed = tmp_path / "a.img", tmp_path / "a.img.xz"
    image.write_bytes(b"x" * 5000)
    packed.write_bytes(b"y" * 50)
    listed = json.loads(
        render_list(read_boards(), "0.1.0+abc", 1793491200, image, packed, "https://example.org/a.img.xz")
    )
    assert list(listed) == ["os_list"]
    [entry] = listed["os_list"]
    assert set(entry) >= REQUIRED | {"release_date"}
    assert (entry["extract_size"], entry["image_download_size"]) == (5000, 50)
    assert entry["extract_sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert entry["image_download_sha256"] == hashlib.sha256(packed.read_bytes()).hexdigest()
    assert (entry["release_date"], entry["init_format"]) == ("2026-11-01", "cloudinit")
    assert entry["devices"] == ["pi3-64bit", "pi4-64bit", "pi5-64bit"]


def test_every_board_has_a_tag() -> None:
    for board in read_boards():
        assert bool(device_tags([board])) == bool(board.dtb)
