"""Files found and overwritten in a real FAT32: fragmented, edited, long names; only the meant bytes change."""

import random
from pathlib import Path

import pytest

from skywire_board.errors import SetupError
from skywire_board.setup.card import Card, find_partition
from skywire_board.setup.fat import Fat
from tests.skywire_board.setup.fat_image import START, FatImage, changed


@pytest.fixture
def fat(tmp_path: Path) -> FatImage:
    return FatImage(tmp_path)


def overwrite(fat: FatImage, name: str, old: bytes, new: bytes) -> None:
    before = fat.path.read_bytes()
    assert Card(fat.path, START).overwrite(name, old, new)
    after = fat.path.read_bytes()
    assert fat.get(name) == new
    assert len(changed(before, after)) == len(changed(old, new))
    fat.check()


def test_only_the_meant_bytes_change(fat: FatImage) -> None:
    old = bytes(random.Random(1).randbytes(5000))
    fat.put("authorized_keys", b"another")
    fat.put("skywire.yaml", old)
    overwrite(fat, "skywire.yaml", old, old[:600] + bytes(1000) + old[1600:])
    assert fat.get("authorized_keys") == b"another"


def test_a_fragmented_file_is_followed(fat: FatImage) -> None:
    for number in range(40):
        fat.put(f"filler-{number}", bytes(512))
    free_clusters = int.from_bytes(fat.path.read_bytes()[START + 1000 : START + 1004], "little")
    fat.put("rest", bytes(512 * free_clusters))
    for number in range(0, 40, 2):
        fat.remove(f"filler-{number}")
    old = bytes(random.Random(2).randbytes(512 * 18 + 100))
    fat.put("skywire.yaml", old)
    with fat.path.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(START + offset)
            return file.read(length)

        extents = Fat(read).extents("skywire.yaml")
    assert extents is not None
    assert len(extents) > 10
    assert sum(length for _, length in extents) == len(old)
    overwrite(fat, "skywire.yaml", old, bytes(len(old)))


def test_a_file_that_was_edited_again_and_again_is_found(fat: FatImage) -> None:
    for length in (100, 9000, 40, 70000, 513):
        old = bytes([length % 251 or 1]) * length
        fat.put("skywire-error.txt", old)
        overwrite(fat, "SkyWire-Error.TXT", old, bytes(length))
    assert Card(fat.path, START).size("skywire-error.txt") == 513


def test_names_in_a_long_folder_are_told_apart(fat: FatImage) -> None:
    for number in range(60):
        fat.put(f"a rather long name of a file {number}.txt", f"{number}".encode())
    card = Card(fat.path, START)
    assert card.read("a rather long name of a file 57.txt") == b"57"
    assert card.read("SKYBOOT") is None
    assert card.read("a rather long name of a file 60.txt") is None


def test_what_is_elsewhere_is_not_overwritten(fat: FatImage) -> None:
    fat.put("skywire.yaml", b"name: a\n")
    before = fat.path.read_bytes()
    card = Card(fat.path, START)
    for name, old, new in (
        ("skywire.yaml", b"name: b\n", b"name: c\n"),
        ("skywire.yaml", b"name: a\n", b"name: abc\n"),
        ("nosuch", b"", b""),
    ):
        with pytest.raises(SetupError):
            card.overwrite(name, old, new)
    assert fat.path.read_bytes() == before


@pytest.mark.parametrize("kind", ["nothing", "zeros", "loop"])
def test_what_is_no_fat_is_refused(fat: FatImage, kind: str) -> None:
    fat.put("skywire.yaml", bytes(2000))
    data = bytearray(fat.path.read_bytes())
    if kind == "loop":
        reserved = int.from_bytes(data[START + 14 : START + 16], "little")
        table = START + reserved * 512
        for cluster in range(2, 40):
            data[table + cluster * 4 : table + cluster * 4 + 4] = cluster.to_bytes(4, "little")
    else:
        data[START : START + 512] = bytes(512) if kind == "zeros" else b"x" * 512
    fat.path.write_bytes(data)
    with pytest.raises(SetupError):
        Card(fat.path, START).read("skywire.yaml")


def test_the_mounted_partition_is_found(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "36 35 98:0 / / rw - squashfs /dev/dm-1 ro\n37 36 179:1 / /boot/firmware ro shared:1 - vfat /dev/mmcblk0p1 ro\n"
    )
    assert find_partition(Path("/boot/firmware"), mounts) == Path("/dev/mmcblk0p1")
    with pytest.raises(SetupError, match="nothing is mounted"):
        find_partition(Path("/boot"), mounts)
