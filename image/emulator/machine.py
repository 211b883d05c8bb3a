"""The two emulated boards, as values: QEMU's arguments, the files it is handed, where the pins are.

QEMU is handed only what a real board has in ROM or gets from its firmware: U-Boot, and on raspi3b the device tree. Both
are taken out of the image's own boot partition.
"""

import json
from errno import EIO
from pathlib import Path
from typing import Any

import msgspec

from image.errors import EmulatorError


class Machine(msgspec.Struct, frozen=True):
    """`files` maps a word to a file of the FAT; such words go into `arguments`, as do `card`, `port` and `mac`.

    `lan` is the device that a second interface is made of; `watchdog` and `card_node` are None where the machine has no
    place for a watchdog card or for a card that is logged. `may_arm` says that its own watchdog can be armed.
    """

    name: str
    kind: str
    board: str
    files: dict[str, str]
    arguments: tuple[str, ...]
    pins: str
    lan: str
    card_drive: tuple[str, ...]
    card_node: tuple[str, ...] | None = None
    watchdog: tuple[str, ...] | None = None
    may_arm: bool = True


class Wiring(msgspec.Struct, frozen=True):
    """What is plugged in for one board: SSH's port of this machine, MAC addresses, the switch, the log of writes; and
    which sectors of the card cannot be read.
    """

    port: int
    mac: str
    lan_mac: str
    lan: str | None = None
    watchdog: bool = False
    write_log: Path | None = None
    bad_sectors: tuple[int, ...] = ()


UNSAFE = {"no-flush": True}
CARD_DEVICE = "virtio-blk-device,drive=card,write-cache=on"

RASPI3B = Machine(
    name="raspi3b",
    kind="raspi3b",
    board="raspberrypi-3b",
    files={"u_boot": "emulator/u-boot-raspi3b.bin", "dtb": "bcm2837-rpi-3-b.dtb"},
    # one thread: with several, U-Boot's polling of the SD host starves and a kernel takes minutes to load
    arguments=(
        "-accel", "tcg,thread=single", "-kernel", "{u_boot}", "-dtb", "{dtb}",
        "-device", "usb-net,netdev=net,mac={mac}", "-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22",
        "-serial", "null", "-serial", "chardev:console",
    ),
    pins="bcm2835",
    lan="usb-net",
    card_drive=("-drive", "file={card},format=qcow2,if=sd,cache=unsafe"),
    # QEMU's model of the SoC's watchdog resets the board as soon as it is armed
    may_arm=False,
)  # fmt: skip

VIRT = Machine(
    name="virt",
    # without ACPI, QEMU gives the machine its GPIO chip even when firmware is loaded
    kind="virt,acpi=off",
    board="qemu-virt",
    files={"u_boot": "emulator/u-boot-virt.bin"},
    arguments=(
        "-cpu", "cortex-a53", "-smp", "2", "-m", "1024", "-accel", "tcg,thread=multi", "-bios", "{u_boot}",
        "-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-device,netdev=net,mac={mac}",
        "-device", "virtio-rng-device", "-serial", "chardev:console",
    ),
    pins="pl061",
    lan="virtio-net-device",
    card_drive=("-drive", "file={card},format=qcow2,if=none,id=card,cache=unsafe", "-device", CARD_DEVICE),
    card_node=("-device", CARD_DEVICE),
    watchdog=("-device", "i6300esb", "-watchdog-action", "reset"),
)  # fmt: skip

MACHINES = {machine.name: machine for machine in (VIRT, RASPI3B)}


def command_line(machine: Machine, folder: Path, files: dict[str, Path], wiring: Wiring) -> list[str]:
    """QEMU's argument list, paused at power-on so that the pins can be set before the first instruction."""
    words = {name: str(path) for name, path in files.items()} | {
        "card": str(folder / "card.qcow2"), "port": str(wiring.port), "mac": wiring.mac
    }  # fmt: skip
    sockets = {name: folder / f"{name}.sock" for name in ("qtest", "qmp", "console")}
    return [
        "qemu-system-aarch64", "-M", machine.kind, "-S", "-display", "none", "-monitor", "none", "-nodefaults",
        "-chardev", f"socket,id=console,path={sockets['console']},server=on,wait=off,logfile={folder / 'console.log'}",
        "-qtest", f"unix:{sockets['qtest']},server=on,wait=off", "-qtest-log", "/dev/null",
        "-qmp", f"unix:{sockets['qmp']},server=on,wait=off",
        *(argument.format(**words) for argument in (*_plugged(machine, wiring, words["card"]), *machine.arguments)),
    ]  # fmt: skip


def _plugged(machine: Machine, wiring: Wiring, card: str) -> list[str]:
    """The card, and what only some boards have: a second interface, a watchdog card.

    What is plugged in first is numbered last by the guest's kernel: its eth0 is the way out, eth1 the switch.
    """
    words = [*machine.card_drive]
    if wiring.write_log is not None or wiring.bad_sectors:
        if machine.card_node is None:
            raise EmulatorError(f"writes cannot be logged, nor sectors be bad, on '{machine.name}' (use virt)")
        words = [*_nodes(card, wiring), *machine.card_node]
    if wiring.watchdog:
        if machine.watchdog is None:
            raise EmulatorError(f"'{machine.name}' takes no watchdog card (use virt)")
        words += machine.watchdog
    if wiring.lan is not None:
        words += ["-netdev", f"{wiring.lan},id=lan", "-device", f"{machine.lan},netdev=lan,mac={wiring.lan_mac}"]
    return words


def _nodes(card: str, wiring: Wiring) -> list[str]:
    """The card, behind a filter that fails reads of its bad sectors (QEMU's blkdebug), behind one that notes each write
    and flush (blklogwrites); what is on top is named `card`. Braces doubled, since the words are formatted later.
    """
    nodes = [_image("qcow2", card, "plain")]
    if wiring.bad_sectors:
        errors = [{"event": "none", "iotype": "read", "errno": EIO, "sector": one} for one in wiring.bad_sectors]
        nodes.append({"driver": "blkdebug", "node-name": "worn", "image": "plain", "inject-error": errors})
    if wiring.write_log is not None:
        log = {"driver": "file", "filename": str(wiring.write_log), "cache": UNSAFE}
        nodes.append({"driver": "blklogwrites", "node-name": "noted", "file": nodes[-1]["node-name"], "log": log})
    nodes[-1]["node-name"] = "card"
    return [word.replace("{", "{{").replace("}", "}}") for node in nodes for word in ("-blockdev", json.dumps(node))]


def _image(kind: str, path: str, name: str) -> dict[str, Any]:
    file = {"driver": "file", "filename": path, "cache": UNSAFE}
    return {"driver": kind, "node-name": name, "file": file, "cache": UNSAFE}
