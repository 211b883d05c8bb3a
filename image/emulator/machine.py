"""The two emulated boards, as values: QEMU's arguments, the files it is handed, where the pins are.

QEMU is handed only what a real board has in ROM or gets from its firmware: U-Boot, and on raspi3b the device tree. Both
are taken out of the image's own boot partition.
"""

from pathlib import Path

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """`files` maps a word to a file of the FAT; such words are filled into `arguments`, as are `port` and `card`."""

    name: str
    kind: str
    board: str
    files: dict[str, str]
    arguments: tuple[str, ...]
    pins: str


RASPI3B = Machine(
    name="raspi3b",
    kind="raspi3b",
    board="raspberrypi-3b",
    files={"u_boot": "emulator/u-boot-raspi3b.bin", "dtb": "bcm2837-rpi-3-b.dtb"},
    # one thread: with several, U-Boot's polling of the SD host starves and a kernel takes minutes to load
    arguments=(
        "-accel", "tcg,thread=single", "-kernel", "{u_boot}", "-dtb", "{dtb}",
        "-drive", "file={card},format=qcow2,if=sd,cache=unsafe",
        "-device", "usb-net,netdev=lan", "-netdev", "user,id=lan,hostfwd=tcp:127.0.0.1:{port}-:22",
        "-serial", "null", "-serial", "chardev:console",
    ),
    pins="bcm2835",
)  # fmt: skip

VIRT = Machine(
    name="virt",
    # without ACPI, QEMU gives the machine its GPIO chip even when firmware is loaded
    kind="virt,acpi=off",
    board="qemu-virt",
    files={"u_boot": "emulator/u-boot-virt.bin"},
    arguments=(
        "-cpu", "cortex-a53", "-smp", "2", "-m", "1024", "-accel", "tcg,thread=multi", "-bios", "{u_boot}",
        "-drive", "file={card},format=qcow2,if=none,id=card,cache=unsafe", "-device", "virtio-blk-device,drive=card",
        "-netdev", "user,id=lan,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-device,netdev=lan",
        "-device", "virtio-rng-device", "-serial", "chardev:console",
    ),
    pins="pl061",
)  # fmt: skip

MACHINES = {machine.name: machine for machine in (VIRT, RASPI3B)}


def command_line(machine: Machine, folder: Path, files: dict[str, Path], port: int) -> list[str]:
    """QEMU's argument list, paused at power-on so that the pins can be set before the first instruction."""
    words = {name: str(path) for name, path in files.items()} | {"card": str(folder / "card.qcow2"), "port": str(port)}
    sockets = {name: folder / f"{name}.sock" for name in ("qtest", "qmp", "console")}
    return [
        "qemu-system-aarch64", "-M", machine.kind, "-S", "-display", "none", "-monitor", "none", "-nodefaults",
        "-chardev", f"socket,id=console,path={sockets['console']},server=on,wait=off,logfile={folder / 'console.log'}",
        "-qtest", f"unix:{sockets['qtest']},server=on,wait=off", "-qtest-log", "/dev/null",
        "-qmp", f"unix:{sockets['qmp']},server=on,wait=off",
        *(argument.format(**words) for argument in machine.arguments),
    ]  # fmt: skip
