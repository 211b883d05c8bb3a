"""Lights and button of an emulated board, through its GPIO block's registers: what a person there would see and do."""

from typing import Protocol

from image.boards import Gpio
from image.emulator.door import Qmp, Qtest

# BCM2835 ARM Peripherals, chapter 6, at the BCM2837's peripheral base.
GPSET0, GPCLR0, GPLEV0 = 0x3F20001C, 0x3F200028, 0x3F200034
# ARM PL061 (DDI 0190B): GPIODATA with all eight mask bits, at QEMU virt's base.
PL061_DATA = 0x09030000 + (0xFF << 2)


class Block(Protocol):
    """A GPIO block: levels of all lines as bits, and a way to put a level on an input."""

    def levels(self) -> int: ...

    def drive(self, line: int, level: bool) -> None: ...


class Bcm2835:
    """The Raspberry Pi 3's block. QEMU lets GPSET0 and GPCLR0 set the level that the guest reads on an input."""

    def __init__(self, qtest: Qtest) -> None:
        self._qtest = qtest

    def levels(self) -> int:
        return self._qtest.read(GPLEV0)

    def drive(self, line: int, level: bool) -> None:
        self._qtest.write(GPSET0 if level else GPCLR0, 1 << line)


class Pl061:
    """QEMU virt's block, whose inputs are driven from outside the chip."""

    def __init__(self, qtest: Qtest, qmp: Qmp) -> None:
        self._qtest = qtest
        self._path = qmp.find("pl061")

    def levels(self) -> int:
        return self._qtest.read(PL061_DATA)

    def drive(self, line: int, level: bool) -> None:
        self._qtest.drive_input(self._path, line, level)


class Pins:
    """The board file's lights and button on a block. Polarity is taken care of: True is lit, or pressed."""

    def __init__(self, block: Block, gpio: Gpio) -> None:
        self.block, self._gpio = block, gpio

    def lights(self) -> tuple[bool, bool]:
        """Status and activity light now."""
        levels = self.block.levels()
        lit = [
            line is not None and bool(levels >> line & 1) != self._gpio.leds_active_low
            for line in (self._gpio.status_led, self._gpio.activity_led)
        ]
        return lit[0], lit[1]

    def button(self, pressed: bool) -> None:
        if self._gpio.button is not None:
            self.block.drive(self._gpio.button, pressed != self._gpio.button_active_low)
