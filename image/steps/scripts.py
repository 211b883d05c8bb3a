"""U-Boot's scripts: boot.scr for the FAT and the script that opens each slot, rendered from boot_files/ and the boards.

U-Boot tells boards apart by `fdtfile`, the dtb name it derives from the firmware's board revision. What a board needs is
written out per board: its light, its console, its dtb; for boards with two steppings the firmware's own device tree tells
which one it is.
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

SCRIPT_SECTORS = 64  # room for the slot's script at the slot's start, 32 KiB


class Part(msgspec.Struct, frozen=True):
    """A file inside a slot: first sector (from the slot's start), length in bytes, CRC-32 as U-Boot's setexpr reads it."""

    lba: int
    n: int
    sum: str


def crc_word(data: bytes) -> str:
    """CRC-32 as `crc32 ADDR N DEST; setexpr.l x *DEST` shows it: stored big endian, read back little endian."""
    return f"{int.from_bytes(zlib.crc32(data).to_bytes(4, 'big'), 'little'):x}"


def render_boot(boards: Sequence[Board], state_sectors: tuple[int, int]) -> str:
    """boot.cmd with each board's light and the place of the boot state."""
    lights = []
    for board in boards:
        if board.dtb and board.gpio.status_led is not None:
            verb = "clear" if board.gpio.leds_active_low else "set"
            for dtb in board.dtb:
                lights.append(f'if test "${{fdtfile}}" = "{dtb}"; then gpio {verb} {board.gpio.status_led}; fi')
    words = {
        "LIGHTS": "\n".join(lights),
        "STATE_LBA": f"{state_sectors[0]:x}",
        "STATE1_LBA": f"{state_sectors[1]:x}",
        "SCRIPT_SECTORS": f"{SCRIPT_SECTORS:x}",
    }
    return _fill((HERE / "boot_files/boot.cmd").read_text(), words)


def render_slot(boards: Sequence[Board], parts: dict[str, Part], words: dict[str, str]) -> str:
    """slot.cmd with the places and sums of kernel, initramfs and dtbs. `parts` is keyed 'kernel', 'initrd' or a dtb's name."""
    blocks = []
    for board in boards:
        if not board.dtb:
            blocks.append(f'if test "${{board}}" = "qemu-arm"; then setenv console console={board.console}; fi')
            continue
        default, *steppings = board.dtb
        lines = [
            f'if test "${{fdtfile}}" = "{default}"; then',
            f"  setenv console console={board.console}",
            *_dtb(parts[default]),
        ]
        for dtb in steppings:
            path, compatible = next(iter(board.stepping.items()))
            lines += [
                f'  if test -n "${{fdt_addr}}" && fdt addr ${{fdt_addr}} && fdt get value found {path} compatible'
                f' && test "${{found}}" = "{compatible}"; then',
                *_dtb(parts[dtb]),
                "  fi",
            ]
        blocks.append("\n".join([*lines, "fi"]))
    words = words | {
        "BOARDS": "\n".join(blocks),
        "KERNEL_LBA": f"{parts['kernel'].lba:x}", "KERNEL_BYTES": f"{parts['kernel'].n:x}", "KERNEL_SUM": parts["kernel"].sum,
        "INITRD_LBA": f"{parts['initrd'].lba:x}", "INITRD_BYTES": f"{parts['initrd'].n:x}", "INITRD_SUM": parts["initrd"].sum,
    }  # fmt: skip
    return _fill((HERE / "boot_files/slot.cmd").read_text(), words)


def _dtb(part: Part) -> list[str]:
    return [f"  setenv dtb_lba {part.lba:x}; setenv dtb_n {part.n:x}; setenv dtb_sum {part.sum}"]


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
