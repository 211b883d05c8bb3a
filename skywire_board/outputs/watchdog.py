"""The door to the hardware watchdog: opened, it resets the board unless it is fed; closed in order, it is disarmed.

Who dies without closing it in order leaves it armed, and the next one goes on feeding. Source: the kernel's
Documentation/watchdog/watchdog-api.rst.
"""

import fcntl
import os
import struct
from pathlib import Path
from typing import Protocol

DEVICE = Path("/dev/watchdog0")
TIMEOUT_S = 60

WDIOC_GETBOOTSTATUS = 0x80045702
WDIOC_SETTIMEOUT = 0xC0045706
WDIOC_GETTIMEOUT = 0x80045707
WDIOF_CARDRESET = 0x20


class Device(Protocol):
    """A watchdog as its driver offers it: what is written to it feeds it, and a V before the close disarms it."""

    def write(self, data: bytes) -> None: ...

    def ask(self, request: int, value: int) -> int: ...

    def close(self) -> None: ...


class WatchdogDevice:
    """The kernel's. Raises OSError: none is there, or another process has it open."""

    def __init__(self, path: Path = DEVICE) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def write(self, data: bytes) -> None:
        os.write(self._fd, data)

    def ask(self, request: int, value: int) -> int:
        answer = fcntl.ioctl(self._fd, request, struct.pack("i", value))
        return int(struct.unpack("i", answer)[0])

    def close(self) -> None:
        os.close(self._fd)


class Watchdog:
    """An armed watchdog. `timeout_s` is what it granted; `has_bitten`: it was what restarted the board."""

    def __init__(self, device: Device, timeout_s: int = TIMEOUT_S) -> None:
        self._device = device
        self.timeout_s = _settle(device, timeout_s)
        self.has_bitten = bool(_asked(device, WDIOC_GETBOOTSTATUS) & WDIOF_CARDRESET)

    @property
    def interval_s(self) -> float:
        """Between two feeds: four times as often as it must be."""
        return max(1.0, self.timeout_s / 4)

    def feed(self) -> None:
        """Raises OSError."""
        self._device.write(b"\0")

    def disarm(self) -> None:
        """The magic close. A driver that knows no way out stays armed, and resets the board."""
        self._device.write(b"V")
        self._device.close()


def _settle(device: Device, timeout_s: int) -> int:
    """The Raspberry Pi's bites after 15 s at most and refuses more: then its own."""
    try:
        return device.ask(WDIOC_SETTIMEOUT, timeout_s)
    except OSError:
        return _asked(device, WDIOC_GETTIMEOUT) or 15


def _asked(device: Device, request: int) -> int:
    try:
        return device.ask(request, 0)
    except OSError:
        return 0
