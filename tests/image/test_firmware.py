"""The boot partition by the rules of the Raspberry Pi's firmware (its documentation: config.txt, the boot folder).

Nothing here can be tried on a real board; so what the firmware would read is read as it says it does.
"""

import re
from pathlib import Path

import pytest

from image.boards import Board, read_boards
from image.recipe import read_recipe
from image.run import Runner
from image.steps.card import FatFile, fat_files
from image.steps.kernel import Kernel
from tests.image.devicetree import Tree

pytestmark = pytest.mark.image
LINE_LENGTH = 98
FILTERS = {"all", "none", "pi0", "pi02", "pi3", "pi3+", "pi4", "pi5"}
# The firmware says nothing about a key that it does not know, so each one used is here with the values it may have.
KEYS = {
    "arm_64bit": "1",
    "arm_boost": "[01]",
    "disable_splash": "[01]",
    "enable_uart": "[01]",
    "gpio": r"\d+=(op,d[hl]|ip,p[udn])",
    "gpu_mem": r"\d+",
    "kernel": r"[\w.-]+",
    "upstream_kernel": "[01]",
}
FIRST_STAGE = {
    "brcm,bcm2837": {"bootcode.bin", "start.elf", "fixup.dat"},
    "brcm,bcm2711": {"start4.elf", "fixup4.dat"},  # the first stage is in EEPROM
    "brcm,bcm2712": set(),  # all of it is
}
# Names that the firmware looks for: with upstream_kernel=1 the kernel's own, else those of the downstream kernel.
DTB_NAMES = {
    "raspberrypi-3a-plus": {"bcm2837-rpi-3-a-plus.dtb"},
    "raspberrypi-3b": {"bcm2837-rpi-3-b.dtb", "bcm2710-rpi-3-b.dtb"},
    "raspberrypi-3b-plus": {"bcm2837-rpi-3-b-plus.dtb", "bcm2710-rpi-3-b-plus.dtb"},
    "raspberrypi-4b": {"bcm2711-rpi-4-b.dtb"},
    "raspberrypi-5": {"bcm2712-rpi-5-b.dtb", "bcm2712-d-rpi-5-b.dtb"},
    "raspberrypi-zero-2-w": {"bcm2837-rpi-zero-2-w.dtb", "bcm2710-rpi-zero-2-w.dtb", "bcm2710-rpi-zero-2.dtb"},
}
BOARDS = [board for board in read_boards() if board.dtb]
each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.slug)


@pytest.fixture(scope="module")
def fat(unpacked: Path, kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, FatFile]:
    work, recipe = tmp_path_factory.mktemp("fat"), read_recipe()
    with (work / "log").open("w") as log:
        files = fat_files(Runner(log, recipe.epoch), recipe, read_boards(), unpacked, kernel.dtbs, work)
    return {file.name: file for file in files}


@pytest.fixture(scope="module")
def config(fat: dict[str, FatFile]) -> list[str]:
    return fat["config.txt"].source.read_text().splitlines()


def settings(config: list[str]) -> list[tuple[str, str]]:
    rows = [line.split("=", 1) for line in config if line and line[0] not in "#["]
    return [(key, value) for key, value in rows]


def test_config_txt_is_what_the_firmware_can_read(config: list[str]) -> None:
    assert [line for line in config if len(line) > LINE_LENGTH] == []
    assert [line for line in config if line.startswith("[") and line.strip("[]") not in FILTERS] == []
    assert [row for row in settings(config) if not re.fullmatch(KEYS[row[0]], row[1])] == []
    sections = [line for line in config if line.startswith("[")]
    assert sections[-1] == "[all]", "what people add below holds for every board"


def test_files_that_config_txt_names_are_there(config: list[str], fat: dict[str, FatFile]) -> None:
    values = dict(settings(config))
    assert values["kernel"] in fat
    assert int(values["gpu_mem"]) > 16 or {"start_cd.elf", "fixup_cd.dat", "start4cd.elf", "fixup4cd.dat"} <= set(fat)


def test_lights_are_lit_by_the_firmware_already(config: list[str]) -> None:
    lit = {value for key, value in settings(config) if key == "gpio"}
    assert lit == {f"{board.gpio.status_led}=op,{'dl' if board.gpio.leds_active_low else 'dh'}" for board in BOARDS}


@each_board
def test_a_board_has_the_firmware_of_its_chip(board: Board, fat: dict[str, FatFile], kernel: Kernel) -> None:
    chip = Tree(kernel.dtbs / board.dtb[0]).root.compatible[-1]
    assert set(board.firmware) == FIRST_STAGE[chip]
    assert set(board.firmware) <= set(fat)


def test_every_file_is_there_and_starts_have_their_fixups(fat: dict[str, FatFile]) -> None:
    assert [file for file in fat.values() if not file.source.is_file()] == []
    starts = {name for name in fat if name.startswith("start")}
    assert {name.replace("start", "fixup").replace(".elf", ".dat") for name in starts} == {
        name for name in fat if name.startswith("fixup")
    }


@each_board
def test_the_firmware_finds_the_boards_dtb(board: Board, fat: dict[str, FatFile], kernel: Kernel) -> None:
    assert {Path(name).name for name in board.dtb} | set(board.fat_dtb) == DTB_NAMES[board.slug]
    for name in DTB_NAMES[board.slug]:
        assert Tree(fat[name].source).root.compatible[0] in board.compatible
        for start in (n for n in board.firmware if n.startswith("start")):
            blob = fat[start].source.read_bytes()
            chip, model = re.fullmatch(r"bcm(\d+)-rpi-(.+)\.dtb", name).groups()  # type: ignore[union-attr]
            assert b"\0bcm%d-rpi-%s.dtb\0" in blob
            assert f"\0{model}\0".encode() in blob, f"{start} knows no model '{model}'"
            assert f"bcm{chip}".encode() in blob


def test_eeprom_of_the_pi_5_sees_that_the_card_is_for_it(fat: dict[str, FatFile]) -> None:
    """Its OS check looks for a dtb of this chip before it starts anything."""
    trees = [Tree(file.source) for name, file in fat.items() if name.endswith(".dtb")]
    assert any("brcm,bcm2712" in tree.root.compatible for tree in trees)


@each_board
def test_the_dtbs_of_two_steppings_come_in_the_order_of_the_steppings(board: Board, kernel: Kernel) -> None:
    """`stepping` lists revisions of the first: C0, whose device tree names no D0 part."""
    d0 = [b"d0-pinctrl" in (kernel.dtbs / dtb).read_bytes() for dtb in board.dtb]
    assert d0 == [False, True][: len(d0)]


def test_revisions_are_of_the_board_and_have_no_flags() -> None:
    """Bits 4 to 11 of a new-style code are the board's type, 0x17 the Pi 5; bits 12 to 15 its chip, 4 the BCM2712."""
    codes = {code for board in BOARDS for code in board.stepping}
    assert {(code >> 24, code >> 23 & 1, code >> 12 & 0xF, code >> 4 & 0xFF) for code in codes} == {(0, 1, 4, 0x17)}
