"""Has the clock ever been set? A board without a clock of its own starts where it stopped, or where its image was made.

It was set when NTP is in step, when the board has a real-time clock that set it, or when it has made a leap since the
supervisor's start (by hand, by another program). That it was set once is remembered on the data partition: from then on
it is late by the time without power at most, which harms nobody.
"""

import logging
import time
from pathlib import Path

from skywire_board.checks.files import read_number
from skywire_board.model import Pattern, Severity, Trouble

log = logging.getLogger("skywire_board")

STATE = Path("/var/lib/skywire-board")
LEAP_S = 60.0
VISIBLE_AFTER_S = 60.0


class ClockCheck:
    """`state` is a folder on the data partition, for the memory that it was set once."""

    def __init__(self, state: Path = STATE, root: Path = Path("/")) -> None:
        self._mark, self._root = state / "clock-was-set", root
        self._offset_s = time.time() - time.monotonic()
        self._is_set = False

    def __call__(self) -> Trouble | None:
        if self._is_set:
            return None
        if self._mark.exists() or self._was_set_now():
            self._is_set = True
            self._remember()
            return None
        text = f"it says {time.strftime('%Y-%m-%d', time.gmtime())}, and no time server was heard"
        return Trouble(
            "no-time", "the clock was never set", Severity.WARN, text, 0, "", VISIBLE_AFTER_S, Pattern.NO_TIME
        )

    def _was_set_now(self) -> bool:
        in_step = (self._root / "run/systemd/timesync/synchronized").exists()
        leapt = abs(time.time() - time.monotonic() - self._offset_s) > LEAP_S
        return in_step or leapt or self._has_own_clock()

    def _has_own_clock(self) -> bool:
        """A real-time clock that set the system's, and is not older than the system: a flat one says 1970."""
        made_s = _made_s(self._root / "usr/lib/clock-epoch")
        clocks = (self._root / "sys/class/rtc").glob("rtc*")
        return any(
            read_number(clock / "hctosys") == 1 and (read_number(clock / "since_epoch") or 0) > made_s
            for clock in clocks
        )

    def _remember(self) -> None:
        try:
            self._mark.touch()
        except OSError as error:
            log.info("that the clock was set cannot be kept: %s", error)


def _made_s(path: Path) -> float:
    """When the system was made, in Unix seconds."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 1.6e9
