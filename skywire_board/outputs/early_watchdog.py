"""The note on the data partition by which the next boot arms the watchdog itself, before systemd (`mount-data`).

So a system that hangs before its supervisor runs is reset too, an update's most of all. The note is written once the
watchdog was armed here: one that cannot be armed on this board, or bites at once, never gets it.
"""

import logging
import re
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

DRIVER = re.compile(r"[a-z0-9_]{1,32}")


class EarlyWatchdog:
    """`state`: the supervisor's folder. `link`: to the module of the watchdog's driver, in sysfs."""

    def __init__(self, state: Path, link: Path = Path("/sys/class/watchdog/watchdog0/device/driver/module")) -> None:
        self._note, self._link = state / NOTE, link

    def keep(self) -> None:
        """The next boot arms it. Nothing is written where the note is there already."""
        try:
            driver = self._link.resolve(strict=True).name
            text = f"{driver} {BITES_AFTER_S}\n"
            if DRIVER.fullmatch(driver) and not (self._note.is_file() and self._note.read_text() == text):
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
