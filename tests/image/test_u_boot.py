"""boot.scr and the slot's script against each U-Boot of the image: commands, drivers, and room in the least memory."""

import gzip
import itertools
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from image.boards import Board, read_boards
from image.recipe import HERE, SECTOR, read_recipe
from image.steps.kernel import Kernel, ModuleIndex, read_modules
from image.steps.scripts import SCRIPT_SECTORS, Part, render_boot, render_slot
from tests.image.devicetree import Tree

pytestmark = pytest.mark.image
MIB = 1 << 20
LEAST_RAM = 512 * MIB  # Pi 3A+, Zero 2 W
U_BOOT_AT_TOP = 64 * MIB  # itself, its heap, the firmware's dtb, the frame buffer
INITRD_ROOM = 16 * MIB
DTB_GROWS = 0x4000  # U-Boot's and the kernel's own additions
ARM64_ANY_PLACE = 1 << 3  # Documentation/arch/arm64/booting.rst, flags
# Commands of the scripts and the symbol that brings them; those without one are always there with hush.
COMMANDS = {
    "booti": "CMD_BOOTI", "crc32": "CMD_CRC32", "echo": "CMD_ECHO", "env export": "CMD_EXPORTENV",
    "env import": "CMD_IMPORTENV", "gpio": "CMD_GPIO", "itest": "CMD_ITEST", "mw": "CMD_MEMORY",
    "part": "CMD_PART", "reset": "HUSH_PARSER", "run": "CMD_RUN", "setenv": "HUSH_PARSER", "setexpr": "CMD_SETEXPR",
    "source": "CMD_SOURCE", "test": "HUSH_PARSER",
}  # fmt: skip
KEYWORDS = {"if", "then", "else", "fi", "for", "do", "done", "while"}
BOARDS = [board for board in read_boards() if board.dtb]
each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.slug)


@dataclass(frozen=True)
class UBoot:
    """A U-Boot of Debian: its binary and its configuration."""

    binary: bytes
    config: dict[str, str]


@pytest.fixture(scope="module")
def u_boots(unpacked: Path) -> dict[str, UBoot]:
    places = {"rpi_arm64": "u-boot-rpi", "rpi_3": "u-boot-rpi", "qemu_arm64": "u-boot-qemu"}
    return {name: read_u_boot(unpacked / package, package, name) for name, package in places.items()}


def read_u_boot(folder: Path, package: str, name: str) -> UBoot:
    lines = gzip.decompress((folder / f"usr/share/doc/{package}/configs/config.{name}.gz").read_bytes()).decode()
    config = dict(line.removeprefix("CONFIG_").split("=", 1) for line in lines.splitlines() if line[:7] == "CONFIG_")
    return UBoot((folder / f"usr/lib/u-boot/{name}/u-boot.bin").read_bytes(), config)


@pytest.fixture(scope="module")
def scripts() -> str:
    boards = read_boards()
    names = ("kernel", "initrd", *(dtb for board in boards for dtb in board.dtb))
    parts = {name: Part(1, 2, ("3", "4")) for name in names}
    words = dict.fromkeys(("ROOT_LBA", "ROOT_BLOCKS", "TREE_BLOCK", "ROOT_HASH", "SALT", "KERNEL_ARGS"), "0")
    return render_boot(boards, read_recipe().disk.state_sectors) + render_slot(boards, parts, words)


def commands(script: str) -> set[str]:
    """The words at which U-Boot's shell looks for a command, those inside variables that are `run` as well."""
    lines = [line for line in script.splitlines() if not line.startswith("#")]
    text = re.sub(r"setenv (\w+) '(.*)'", r"setenv \1; \2", "\n".join(lines))
    text = re.sub(r'"[^"\n]*"', '""', text)
    found = set()
    for part in re.split(r";|&&|\|\||\n", text):
        words = part.split()
        while words and words[0] in KEYWORDS - {"for"}:
            words = words[1:]
        if words and words[0] != "for":
            found.add(" ".join(words[:2]) if words[0] == "env" else words[0].split(".")[0])
    return found


@pytest.mark.parametrize(
    ("name", "card"), [("rpi_arm64", "CMD_MMC"), ("rpi_3", "CMD_MMC"), ("qemu_arm64", "CMD_VIRTIO")]
)
def test_every_command_is_built_in(name: str, card: str, scripts: str, u_boots: dict[str, UBoot]) -> None:
    config, used = u_boots[name].config, commands(scripts)
    known = COMMANDS | {"${devtype}": card}
    assert sorted(used - set(known)) == []
    lacking = {command for command in used if config.get(known[command]) != "y"}
    # Only the boards' own lines use `gpio`, each behind a test for a dtb that QEMU's virt does not have.
    assert lacking == ({"gpio"} if name == "qemu_arm64" else set())
    assert all(
        line.startswith('if test "${fdtfile}" = ')
        for line in scripts.splitlines()
        if "gpio " in line and "#" not in line
    )
    assert {config.get(symbol) for symbol in ("GZIP", "LEGACY_IMAGE_FORMAT", "BOOTMETH_SCRIPT", "OF_LIBFDT")} == {"y"}


def test_the_scripts_know_virt_by_its_name(scripts: str, u_boots: dict[str, UBoot]) -> None:
    name = u_boots["qemu_arm64"].config["SYS_BOARD"].strip('"')
    assert set(re.findall(r'"\$\{board\}" = "([^"]+)"', scripts)) == {name}


@each_board
def test_u_boot_knows_the_board_and_drives_its_card_and_console(
    board: Board, kernel: Kernel, u_boots: dict[str, UBoot]
) -> None:
    tree = Tree(kernel.dtbs / board.dtb[0])
    binaries = {"rpi_arm64": u_boots["rpi_arm64"].binary}
    if board.slug == "raspberrypi-3b":
        binaries["rpi_3"] = u_boots["rpi_3"].binary  # what QEMU's raspi3b is given
    (console,) = tree.nodes["/chosen"].strings("stdout-path")
    for name, binary in binaries.items():
        assert holds(binary, [board.dtb[0]]), f"{name} derives another fdtfile"
        assert holds(binary, tree.sd_host().compatible), name
        assert holds(binary, tree.alias(console.split(":")[0]).compatible), name


@each_board
def test_u_boot_drives_the_pins_of_boards_whose_light_it_lights(
    board: Board, kernel: Kernel, scripts: str, u_boots: dict[str, UBoot]
) -> None:
    lights = f'if test "${{fdtfile}}" = "{board.dtb[0]}"; then gpio ' in scripts
    pins = [node for node in Tree(kernel.dtbs / board.dtb[0]).devices() if node.name == "gpio@7e200000"]
    assert lights == any(holds(u_boots["rpi_arm64"].binary, node.compatible) for node in pins)


def test_u_boot_tells_the_revision(scripts: str, u_boots: dict[str, UBoot]) -> None:
    assert "${board_revision}" in scripts
    assert holds(u_boots["rpi_arm64"].binary, ["board_revision"])


def holds(binary: bytes, words: list[str]) -> bool:
    return any(f"\0{word}\0".encode() in binary for word in words)


def addresses() -> dict[str, int]:
    """Where the scripts put things, counted from the start of memory."""
    found = {"ram": 0}
    text = "".join((HERE / "boot_files" / name).read_text() for name in ("boot.cmd", "slot.cmd"))
    for name, start, offset in re.findall(r"^setexpr (\w+) \$\{(\w+)\} \+ ([0-9a-f]+)$", text, re.MULTILINE):
        if start in found:
            found[name] = found[start] + int(offset, 16)
    return found


def test_nothing_overlaps_in_memory(unpacked: Path, kernel: Kernel, u_boots: dict[str, UBoot]) -> None:
    packed = (unpacked / "kernel.gz").read_bytes()
    raw = gzip.decompress(packed)
    in_memory, flags = struct.unpack_from("<2Q", raw, 0x10)
    at = addresses()
    dtbs = [(kernel.dtbs / dtb).stat().st_size for board in BOARDS for dtb in board.dtb]
    sizes = {
        "sum_at": 4,
        "state0": 2 * SECTOR,
        "slot_script": SCRIPT_SECTORS * SECTOR,
        "dtb": max(dtbs) + DTB_GROWS,
        "kernel": max(len(packed), len(raw), in_memory),
        "initrd": INITRD_ROOM,
        "kernel_comp_addr_r": len(raw),
    }
    areas = sorted((at[name], at[name] + size, name) for name, size in sizes.items())
    for (_, end, one), (start, _, other) in itertools.pairwise(areas):
        assert end <= start, f"{one} reaches {end - start} bytes into {other}"
    config_txt = (HERE / "boot_files/config.txt").read_text()
    gpu = int(re.findall(r"^gpu_mem=(\d+)$", config_txt, re.MULTILINE)[0]) * MIB
    assert areas[-1][1] <= LEAST_RAM - gpu - U_BOOT_AT_TOP
    assert flags & ARM64_ANY_PLACE, "U-Boot would move the kernel to the start of memory"
    assert at["kernel"] % (2 * MIB) == 0, "U-Boot would move the kernel"
    room = int(re.findall(r"setenv kernel_comp_size (\w+)", (HERE / "boot_files/slot.cmd").read_text())[0], 16)
    assert len(packed) <= room
    assert len(raw) <= 10 * room, "U-Boot unpacks no more than ten times that"
    assert all(len(raw) <= int(u_boot.config["SYS_BOOTM_LEN"], 16) for u_boot in u_boots.values())


def test_the_initramfs_has_room(unpacked: Path, kernel: Kernel) -> None:
    """It is compressed; were it not, it would fit still."""
    paths = ModuleIndex(kernel.modules).closure(read_modules()["initramfs"])
    unpacks_to_at_most = 8  # xz of modules: about 4
    modules = sum((kernel.modules / path).stat().st_size for path in paths) * unpacks_to_at_most
    assert modules + (unpacked / "busybox-static/usr/bin/busybox").stat().st_size + 4 * MIB <= INITRD_ROOM
