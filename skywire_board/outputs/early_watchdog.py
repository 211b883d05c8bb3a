"""The note on the data partition by which the next boot arms the watchdog itself, before systemd (`mount-data`).

So a system that hangs before its supervisor runs is reset too, an update's most of all. The note is written once the
watchdog was armed here: one that cannot be armed on this board, or bites at once, never gets it.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from skywire_board.outputs.watchdog import Device
from viscript.durable import sync_folder, write_whole

log = logging.getLogger("skywire_board")

NOTE = "watchdog"
"""In the supervisor's state folder: `DRIVER SECONDS`. `mount-data` reads it."""

BITES_AFTER_S = 591
"""From the mount of the data partition. One less than a multiple of 16: the Raspberry Pi's driver keeps 20 bits of
1/65536 s, and the kernel feeds it each 8 s until the time is over; with any other rest it would have less.
"""

DRIVERS = {"Broadcom BCM2835 Watchdog timer": "bcm2835_wdt", "i6300ESB timer": "i6300esb"}
"""What the kernel calls a watchdog → its module, which `mount-data` loads: the Raspberry Pi's, and QEMU's card."""


class EarlyWatchdog:
    """`state`: the supervisor's folder. `identity`: what the kernel calls the watchdog, in sysfs."""

    def __init__(self, state: Path, identity: Path = Path("/sys/class/watchdog/watchdog0/identity")) -> None:
        self._note, self._identity = state / NOTE, identity

    def keep(self) -> None:
        """The next boot arms it. Nothing is written where the note is there already."""
        try:
            driver = DRIVERS.get(self._identity.read_text().strip(), "")
            text = f"{driver} {BITES_AFTER_S}\n"
            if driver and not (self._note.is_file() and self._note.read_text() == text):
                write_whole(self._note, text.encode(), 0o644)
        except OSError as error:
            log.info("the next boot does not arm the watchdog by itself: %s", error)

    def forget(self, opened: Callable[[], Device]) -> None:
        """The owner wants none: the next boot leaves it alone, and what this one armed is disarmed."""
        if not self._note.exists():
            return
        try:
            self._note.unlink()
            sync_folder(self._note.parent)
            device = opened()
            device.write(b"V")
            device.close()
        except OSError as error:
            log.warning("the watchdog that the boot armed cannot be disarmed: %s", error)
