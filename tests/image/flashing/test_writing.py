"""Copying by the map, onto what held something else; reading back; images and cards that are bad."""

import lzma
from pathlib import Path

import pytest

from image.errors import FlashError
from image.flashing import writing
from image.flashing.bmap import Bmap, make_bmap, whole
from image.recipe import SECTOR, Recipe
from tests.image.flashing.conftest import check_fat, read_fat_file


def copy(image: Path, bmap: Bmap, card: Path) -> tuple[int, int]:
    """Bytes told by writing and by reading back."""
    told = [0, 0]

    def add(place: int, count: int) -> None:
        told[place] += count

    with writing.open_disk(card) as fd:
        writing.write(image, bmap, fd, lambda count: add(0, count))
        writing.verify(image, bmap, fd, lambda count: add(1, count))
    return told[0], told[1]


def read(path: Path, start: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)


def test_a_used_card_becomes_the_image(small_image: Path, small: Recipe, small_card: Path, tmp_path: Path) -> None:
    bmap = make_bmap(small_image, small.disk)
    assert copy(small_image, bmap, small_card) == (bmap.mapped_bytes,) * 2
    check_fat(small_card, small, tmp_path)
    assert read_fat_file(small_card, small, "bcm2710.dtb") == read_fat_file(small_image, small, "bcm2710.dtb")
    slot_a, slot_b = (lba * SECTOR for lba in small.disk.slot_lbas)
    assert read(small_card, slot_a, 5 << 20)[: (4 << 20) + 4096] == read(small_image, slot_a, (4 << 20) + 4096)
    assert read(small_card, slot_b, 1 << 20) == bytes(1 << 20)
    assert read(small_card, 0, 4096) == read(small_image, 0, 4096)


def test_a_packed_image_is_written_too(small_image: Path, small: Recipe, small_card: Path, tmp_path: Path) -> None:
    packed = tmp_path / "card.img.xz"
    packed.write_bytes(lzma.compress(small_image.read_bytes(), preset=0))
    assert writing.unpacked_size(packed) == small_image.stat().st_size
    copy(packed, make_bmap(small_image, small.disk), small_card)
    assert read(small_card, 0, 1 << 20) == read(small_image, 0, 1 << 20)
    packed.write_bytes(packed.read_bytes()[:-4000])
    with pytest.raises(FlashError, match="is damaged"):
        copy(packed, make_bmap(small_image, small.disk), small_card)


def test_without_a_map_all_of_it_is_written(small_image: Path, small_card: Path) -> None:
    size = small_image.stat().st_size
    assert copy(small_image, whole(size), small_card) == (size, size)
    assert read(small_card, 0, size) == small_image.read_bytes()


def test_a_damaged_image_leaves_no_partition_table(
    small_image: Path, small: Recipe, small_card: Path, tmp_path: Path
) -> None:
    bmap = make_bmap(small_image, small.disk)
    bad = tmp_path / "bad.img"
    with small_image.open("rb") as source, bad.open("wb") as target:
        target.write(source.read())
        target.seek(small.disk.slot_lbas[0] * SECTOR + 1000)
        target.write(b"?")
    with pytest.raises(FlashError, match="differ from its block map"):
        copy(bad, bmap, small_card)
    assert read(small_card, 0, 512) == bytes(512)


def test_a_card_that_loses_bytes_is_found_out(small_image: Path, small: Recipe, small_card: Path) -> None:
    bmap = make_bmap(small_image, small.disk)
    copy(small_image, bmap, small_card)
    place = small.disk.slot_lbas[0] * SECTOR + (2 << 20)
    with small_card.open("r+b") as file:
        file.seek(place)
        file.write(b"\0\0")
    with writing.open_disk(small_card) as fd, pytest.raises(FlashError, match="between 40 and 44 MiB"):
        writing.verify(small_image, bmap, fd, lambda _: None)
