"""U-Boot's scripts: boot.scr for the FAT and the script that opens each slot, rendered from boot_files/ and the boards.

U-Boot tells boards apart by `fdtfile`, the dtb name that it derives from the firmware's board revision. What a board
needs is written out per board: its light, its console, its dtb. Of a board with two steppings `fdtfile` names the first
alone; there the revision itself tells which one it is.
"""

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from image.boards import Board
from image.errors import ImageError
from image.recipe import HERE, SECTOR
from image.run import Runner

REVISION_BITS = "ffffff"  # above them a revision code has flags: overclocked, warranty, one-time memory
U_BOOT_DRIVES = ("pinctrl-bcm2835", "pinctrl-bcm2711")  # chips of its driver bcm2835_gpio; it has none for the RP1
SCRIPT_SECTORS = 64  # room for the slot's script at the slot's start, 32 KiB


class Part(msgspec.Struct, frozen=True):
    """A file inside a slot: first sector (from the slot's start), length in bytes, CRC-32 as U-Boots read it."""

    lba: int
    n: int
    sums: tuple[str, str]


def crc_words(data: bytes) -> tuple[str, str]:
    """CRC-32 as `crc32 ADDR N DEST; setexpr.l x *DEST` shows it: without and with CONFIG_HASH (big endian)."""
    crc = zlib.crc32(data)
    return f"{crc:x}", f"{int.from_bytes(crc.to_bytes(4, 'big'), 'little'):x}"


def render_boot(
    boards: Sequence[Board], state_sectors: tuple[int, int], template: Path = HERE / "boot_files/boot.cmd"
) -> str:
    """boot.cmd with the place of the boot state, and the light of each board whose pins U-Boot can drive."""
    lights = [
        f'if test "${{fdtfile}}" = "{board.dtb[0]}"; then'
        f" gpio {'clear' if board.gpio.leds_active_low else 'set'} {board.gpio.status_led}; fi"
        for board in boards
        if board.dtb and board.gpio.status_led is not None and board.gpio.chip in U_BOOT_DRIVES
    ]
    words = {
        "LIGHTS": "\n".join(lights),
        "STATE_LBA": f"{state_sectors[0]:x}",
        "STATE1_LBA": f"{state_sectors[1]:x}",
        "SCRIPT_SECTORS": f"{SCRIPT_SECTORS:x}",
    }
    return _fill(template.read_text(), words)


def render_slot(boards: Sequence[Board], parts: dict[str, Part], words: dict[str, str]) -> str:
    """slot.cmd with the places and sums of `parts`: 'kernel', 'initrd' and the boards' dtbs by their names."""
    words = words | {"BOARDS": "\n".join("\n".join(_board(board, parts)) for board in boards)}
    for name in ("kernel", "initrd"):
        part, word = parts[name], name.upper()
        words |= {
            f"{word}_LBA": f"{part.lba:x}",
            f"{word}_BYTES": f"{part.n:x}",
            f"{word}_SUMS": f"setenv sum {part.sums[0]}; setenv mus {part.sums[1]}",
        }
    return _fill((HERE / "boot_files/slot.cmd").read_text(), words)


def _board(board: Board, parts: dict[str, Part]) -> list[str]:
    """What is set for a board: console and dtb. A board without dtbs is QEMU's virt, which brings its own."""
    if not board.dtb:
        return [f'if test "${{board}}" = "qemu-arm"; then setenv console console={board.console}; fi']
    lines = [
        f'if test "${{fdtfile}}" = "{board.dtb[0]}"; then',
        f"  setenv console console={board.console}",
        _dtb(parts[board.dtb[0]]),
    ]
    if board.stepping:
        lines += _second_stepping(board, parts[board.dtb[1]])
    return [*lines, "fi"]


def _second_stepping(board: Board, part: Part) -> list[str]:
    """The second dtb for revisions that the board file does not give to the first; the first if none is known."""
    unlisted = " && ".join(f"itest ${{rev}} != {code:x}" for code in board.stepping)
    return [
        '  if test -n "${board_revision}"; then',
        rf"    setexpr rev ${{board_revision}} \& {REVISION_BITS}",
        f"    if {unlisted}; then",
        f"    {_dtb(part)}",
        "    fi",
        "  fi",
    ]


def _dtb(part: Part) -> str:
    one, other = part.sums
    return f"  setenv dtb_lba {part.lba:x}; setenv dtb_n {part.n:x}; setenv dtb_sum {one}; setenv dtb_mus {other}"


def _fill(template: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        template = template.replace(f"@{word}@", value)
    left = re.search(r"@[A-Z0-9_]+@", template)
    if left:
        raise ImageError(f"a word of the boot script was not filled in: '{left[0]}' (correct image/steps/scripts.py)")
    return template


def pack_script(run: Runner, text: str, work: Path, name: str) -> bytes:
    """The text as a U-Boot script image, which `source` checks by CRC before it runs a line."""
    source, image = work / f"{name}.cmd", work / f"{name}.scr"
    source.write_text(text)
    run("mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-n", f"skywire {name}", "-d", source, image)
    packed = image.read_bytes()
    if len(packed) > SCRIPT_SECTORS * SECTOR:
        raise ImageError(f"the {name} script has {len(packed)} bytes, more than {SCRIPT_SECTORS * SECTOR}")
    return packed
