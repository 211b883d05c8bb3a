"""The card's layout: what U-Boot, the board and the build each hold of it must be one thing."""

import itertools
import struct
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from image.recipe import SECTOR, SECTORS_PER_MIB, Disk, read_recipe
from image.run import Runner
from image.steps.card import boot_state, make_card, partition_script
from skywire_board.bootstate.codec import SECTORS, BootState, parse

SMALL = Disk(id=0x01020304, state_sectors=(2046, 2047), fat_start_mib=4, fat_mib=2, slot_mib=3)


@given(st.integers(0, 2**32 - 1))
def test_the_board_reads_the_state_that_the_build_writes(seq: int) -> None:
    assert len(boot_state(seq)) == SECTOR
    assert parse(boot_state(seq)) == BootState(seq, "A B", 3, 0)


def test_build_and_board_mean_the_same_sectors() -> None:
    assert read_recipe().disk.state_sectors == SECTORS


def test_partitions_follow_one_another_behind_the_boot_state() -> None:
    disk = read_recipe().disk
    rows = [
        dict(word.split("=") for word in line.split(", ") if "=" in word)
        for line in partition_script(disk).splitlines()[2:]
    ]
    areas = [(int(row["start"]), int(row["start"]) + int(row["size"])) for row in rows]
    assert [row["type"] for row in rows] == ["c", "83", "83", "da"]
    assert max(disk.state_sectors) < areas[0][0]
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(areas))


def test_a_card_has_its_parts_in_place_and_nothing_behind_slot_a(tmp_path: Path) -> None:
    fat, slot, target = tmp_path / "fat", tmp_path / "slot", tmp_path / "card.img"
    fat.write_bytes(b"F" * (SMALL.fat_mib << 20))
    slot.write_bytes(b"A" * 4096)
    recipe = msgspec.structs.replace(read_recipe(), disk=SMALL)
    with (tmp_path / "log").open("w") as log:
        make_card(Runner(log, recipe.epoch), recipe, fat, slot, target)
    card = target.read_bytes()
    starts = [struct.unpack_from("<I", card, 446 + 16 * number + 8)[0] for number in range(4)]
    assert starts == [SMALL.fat_lba, *SMALL.slot_lbas, SMALL.data_lba]
    assert [card[446 + 16 * number + 4] for number in range(4)] == [0x0C, 0x83, 0x83, 0xDA]
    assert card[440:444] == bytes.fromhex("04030201")
    states = [parse(card[sector * SECTOR : (sector + 1) * SECTOR]) for sector in SMALL.state_sectors]
    assert states == [BootState(1, b_left=0), BootState(2, b_left=0)]
    assert card[SMALL.fat_lba * SECTOR :].startswith(b"F")
    assert card[SMALL.slot_lbas[0] * SECTOR :].rstrip(b"\0") == b"A" * 4096
    assert len(card) == (SMALL.slot_lbas[1] + SECTORS_PER_MIB) * SECTOR  # no slot B of an older card is left behind
