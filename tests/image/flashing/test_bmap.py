"""The block map: what it leaves out nobody reads, what it says of itself is true."""

import hashlib
from pathlib import Path

import pytest

from image.errors import FlashError
from image.flashing.bmap import BLOCK, make_bmap, parse, read_bmap, render
from image.recipe import SECTOR, Recipe


def test_holes_that_count_are_mapped(small_image: Path, small: Recipe) -> None:
    bmap = make_bmap(small_image, small.disk)
    starts = [one.start for one in bmap.ranges]
    assert starts == [0, *(lba * SECTOR for lba in small.disk.slot_lbas)]
    fat_end = (bmap.ranges[0].last + 1) * BLOCK
    assert small.disk.fat_lba * SECTOR + (1 << 19) < fat_end < small.disk.slot_lbas[0] * SECTOR
    assert bmap.length(bmap.ranges[1]) == (4 << 20) + 4096
    assert (bmap.ranges[2].last + 1) * BLOCK == bmap.size == small_image.stat().st_size


def test_it_is_read_as_it_was_written(small_image: Path, small: Recipe) -> None:
    bmap = make_bmap(small_image, small.disk)
    text = render(bmap)
    assert parse(text, "x") == bmap == read_bmap(small_image, small.disk)
    own = hashlib.sha256(text.replace(text.split("FileChecksum> ")[1][:64], "0" * 64, 1).encode()).hexdigest()
    assert own in text


@pytest.mark.parametrize("change", [("<Range", "<Rang"), ("0-", "1-"), ("> 4096", "> 512"), ("2.0", "3.0")])
def test_a_changed_one_is_refused(small_image: Path, small: Recipe, change: tuple[str, str]) -> None:
    text = render(make_bmap(small_image, small.disk))
    with pytest.raises(FlashError):
        parse(text.replace(*change, 1), "x.bmap")
