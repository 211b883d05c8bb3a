"""The card: MBR, boot state, FAT and slot A in one file, made without loop mounts and without root.

    sector 0                MBR; partition 1 FAT, 2 slot A, 3 slot B, 4 data (type da: to be made at first boot)
    state sectors           two copies of the boot state, written by U-Boot and Linux
    4 MiB                   FAT: firmware, U-Boot, boot.scr, files for people
    then                    slot A, slot B (empty), data (to the card's end, grown at first boot)

The image file ends a MiB into slot B: written over an older card, it leaves no slot B that could still be started.
"""

import shutil
import zlib
from pathlib import Path

import msgspec

from image.boards import Board
from image.errors import ImageError
from image.recipe import HERE, SECTOR, SECTORS_PER_MIB, Disk, Recipe
from image.run import Runner
from image.steps.scripts import pack_script, render_boot

DATA_MIB_IN_TABLE = 16
# CONFIG_ENV_SIZE of both U-Boots for cards. They read the file and never write it: it spares the two seconds at the
# prompt, the search of EFI, network and USB, and a USB start that the kernel would have to undo.
ENV_BYTES = 0x4000
FOR_PEOPLE = ("README.txt", "authorized_keys", "skywire.yaml", "skywire-error.txt")


class FatFile(msgspec.Struct, frozen=True):
    """A file of the boot partition: its name there and where its bytes come from."""

    name: str
    source: Path


def boot_state(seq: int = 1) -> bytes:
    """A fresh boot-state sector in U-Boot's environment format: CRC-32 (little endian), NAME=value with NUL each.

    Slot B holds nothing, so it has no tries.
    """
    text = f"SKY_A_LEFT=3\0SKY_B_LEFT=0\0SKY_ORDER=A B\0SKY_SEQ={seq:x}\0".encode().ljust(SECTOR - 4, b"\0")
    return zlib.crc32(text).to_bytes(4, "little") + text


def fat_files(
    run: Runner, recipe: Recipe, boards: list[Board], unpacked: Path, dtbs: Path, work: Path
) -> list[FatFile]:
    """Everything on the FAT: firmware and dtbs of the boards, U-Boot for them and QEMU, boot.scr, people's files."""
    script = work / "boot.scr"
    script.write_bytes(pack_script(run, render_boot(boards, recipe.disk.state_sectors), work, "boot"))
    lights = sorted(
        {f"gpio={b.gpio.status_led}=op,{'dl' if b.gpio.leds_active_low else 'dh'}" for b in boards if b.dtb}
    )
    environment = work / "uboot.env"
    run("mkenvimage", "-s", str(ENV_BYTES), "-o", environment, HERE / "boot_files/uboot.env.txt")
    config = work / "config.txt"
    config.write_text((HERE / "boot_files/config.txt").read_text().replace("@LIGHTS@", "\n".join(lights)))
    u_boot = unpacked / "u-boot-rpi/usr/lib/u-boot"
    files = {
        "boot.scr": script,
        "uboot.env": environment,
        "config.txt": config,
        "u-boot.bin": u_boot / "rpi_arm64/u-boot.bin",
        "emulator/u-boot-raspi3b.bin": u_boot / "rpi_3/u-boot.bin",
        "emulator/u-boot-virt.bin": unpacked / "u-boot-qemu/usr/lib/u-boot/qemu_arm64/u-boot.bin",
    }
    files |= {name: HERE / "boot_files" / name for name in FOR_PEOPLE}
    for board in boards:
        files |= {name: unpacked / "raspi-firmware/usr/lib/raspi-firmware" / name for name in board.firmware}
        files |= {Path(name).name: dtbs / name for name in board.dtb}
        files |= {alias: dtbs / name for alias, name in board.fat_dtb.items()}
    return [FatFile(name, source) for name, source in sorted(files.items())]


def make_fat(run: Runner, recipe: Recipe, files: list[FatFile], work: Path, target: Path) -> None:
    """A FAT32 file system with the files, each with the recipe's time stamp."""
    stage = work / "fat"
    for file in files:
        place = stage / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.source, place)
        place.chmod(0o644)
    run("find", stage, "-exec", "touch", f"--date=@{recipe.epoch}", "{}", "+")
    with target.open("wb") as fat:
        fat.truncate(recipe.disk.fat_mib << 20)
    run("mkfs.vfat", "-F", "32", "--invariant", "-i", f"{recipe.disk.id:08x}", "-n", "SKYBOOT", target)
    run("mcopy", "-s", "-m", "-i", target, *sorted(stage.iterdir()), "::")


def partition_script(disk: Disk) -> str:
    """sfdisk's description of the card."""
    rows = [
        (disk.fat_lba, disk.fat_mib, "c", ", bootable"),
        (disk.slot_lbas[0], disk.slot_mib, "83", ""),
        (disk.slot_lbas[1], disk.slot_mib, "83", ""),
        (disk.data_lba, DATA_MIB_IN_TABLE, "da", ""),
    ]
    lines = [f"start={start}, size={mib * SECTORS_PER_MIB}, type={kind}{flag}" for start, mib, kind, flag in rows]
    return "\n".join(["label: dos", f"label-id: 0x{disk.id:08x}", *lines, ""])


def make_card(run: Runner, recipe: Recipe, fat: Path, slot: Path, target: Path) -> None:
    """Puts the parts at their places in a sparse file."""
    disk = recipe.disk
    whole = (disk.data_lba + (DATA_MIB_IN_TABLE + 1) * SECTORS_PER_MIB) * SECTOR
    with target.open("wb") as card:
        card.truncate(whole)
    run("sfdisk", "--quiet", target, stdin=partition_script(disk).encode())
    for path, lba in ((fat, disk.fat_lba), (slot, disk.slot_lbas[0])):
        place = f"seek={lba // SECTORS_PER_MIB}"
        run("dd", f"if={path}", f"of={target}", "bs=1M", place, "conv=notrunc,sparse", "status=none")
    with target.open("r+b") as card:
        for number, sector in enumerate(disk.state_sectors):
            card.seek(sector * SECTOR)
            card.write(boot_state(seq=1 + number))
        card.truncate((disk.slot_lbas[1] + SECTORS_PER_MIB) * SECTOR)
    if target.stat().st_size % (1 << 20):
        raise ImageError(f"the image's size {target.stat().st_size} is not a multiple of 1 MiB")
