"""Which driver the kernel has for a device-tree node, and whether it is built in or a module.

Most drivers say what they are compatible with, and depmod's and the kernel's indexes repeat it. The rest is in tables
here, each entry with the reason, and with something that can be looked up in this very kernel.
"""

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path

# Taken up by code that is no driver with a table of its own (CLK_OF_DECLARE, IRQCHIP_DECLARE, TIMER_OF_DECLARE, AMBA):
# there whenever this symbol is `y`.
CORE = {
    "arm,armv7-timer": "ARM_ARCH_TIMER",
    "arm,armv8-timer": "ARM_ARCH_TIMER",
    "arm,cortex-a53-pmu": "ARM_PMUV3",
    "arm,cortex-a72-pmu": "ARM_PMUV3",
    "arm,gic-400": "ARM_GIC",
    "arm,pl011": "SERIAL_AMBA_PL011",
    "arm,psci-0.2": "ARM_PSCI_FW",
    "brcm,bcm2836-armctrl-ic": "ARCH_BCM2835",
    "brcm,bcm2836-l1-intc": "ARCH_BCM2835",
    "fixed-clock": "COMMON_CLK",
    "shared-dma-pool": "DMA_CMA",
}
# Found by their bus, which reads what they are; the device tree only adds to it. The alias that the bus makes of it.
ENUMERATED = {
    "brcm,bcm4329-fmac": "sdio:c00v02D0d4345",
    "pci1de4,1": "pci:v00001DE4d00000001sv00000000sd00000000bc02sc00i00",
    "usb424,7800": "usb:v0424p7800d0300dcFFdscFFdp00icFFiscFFip00in00",
    "usb424,9514": "usb:v0424p9514d0200dc09dsc00dp01ic09isc00ip00in00",  # a hub
    "usb424,ec00": "usb:v0424pEC00d0200dcFFdsc00dp01icFFisc00ipFFin00",
}
# On the boards and taken up by nothing on the card, and why that is meant so.
UNUSED = {
    "arm,cortex-a*": "a processor: described, not driven",
    "brcm,*-v3d": "3D",
    "brcm,bcm*-hdmi*": "display",
    "brcm,bcm*-hvs": "display",
    "brcm,bcm*-mop*": "display",
    "brcm,bcm*-pixelvalve?": "display",
    "brcm,bcm*-txp": "display",
    "brcm,bcm*-vc?": "display",
    "brcm,bcm*-vec": "display",
    "brcm,bcm2835-i2c": "header, HATs, display",
    "brcm,bcm2835-pwm": "header, sound",
    "brcm,bcm2835-system-timer": "not in Debian's kernel: the processor's own timer is used",
    "brcm,bcm2835-vchiq": "camera and sound through the firmware",
    "brcm,bcm43438-bt": "Bluetooth",
    "brcm,bcm7271-uart": "Bluetooth",
    "cache": "described, not driven",
    "i2c-mux-pinctrl": "header, HATs, display",
    "raspberrypi,pispbe": "camera",
}


@dataclass(frozen=True)
class Driver:
    """How a node is taken up: `module` is None when it is built in; `found` is what was looked up."""

    module: str | None
    found: str


class Drivers:
    """The indexes of one kernel."""

    def __init__(self, modules: Path) -> None:
        self._aliases: list[tuple[str, str]] = []
        self._of: dict[str, str] = {}
        for line in (modules / "modules.alias").read_text().splitlines():
            if line.startswith("alias "):
                pattern, module = line.removeprefix("alias ").rsplit(" ", 1)
                self._aliases.append((pattern, module))
                self._of.setdefault(_compatible(pattern), module)
        entries = (modules / "modules.builtin.modinfo").read_bytes().decode().split("\0")
        found = [re.match(r"([^.]+)\.alias=(of:.*)", entry) for entry in entries]
        self._builtin = {_compatible(match[2]): match[1] for match in found if match}
        config = (modules / "config").read_text().splitlines()
        self.config = dict(line.split("=", 1) for line in config if line.startswith("CONFIG_"))

    def find(self, compatible: list[str]) -> Driver | None:
        """The driver of the most specific word that has one."""
        for word in compatible:
            if word in self._builtin:
                return Driver(None, self._builtin[word])
            if word in self._of:
                return Driver(self._of[word], word)
            if word in CORE and self.config.get(f"CONFIG_{CORE[word]}") == "y":
                return Driver(None, CORE[word])
            if word in ENUMERATED and (modules := self.named(ENUMERATED[word])):
                return Driver(modules[0], ENUMERATED[word])
        return None

    def named(self, alias: str) -> list[str]:
        """Modules that the kernel or udev would load for an alias."""
        return [module for pattern, module in self._aliases if fnmatch.fnmatchcase(alias, pattern)]


def _compatible(pattern: str) -> str:
    """'of:N*T*Cbrcm,bcm2835-sdhostC*' is about 'brcm,bcm2835-sdhost'."""
    return pattern.removeprefix("of:N*T*C").removesuffix("C*")
