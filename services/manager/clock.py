"""Whether this machine knows what time it is, before an invitation's end is looked at.

A board has no clock of its own: it starts with the time it was switched off at (saved each minute, never set back), and
systemd-timesyncd leaves a file when a server has told it the time. Until then an invitation that has run out could look
fresh, so whoever comes with one in the first minute is asked to come again. After that, the saved time has to do: a
network without a way out shall take new boards too. Who joins without an invitation is proven by a challenge, and needs
no clock at either end.
"""

from __future__ import annotations

import time
from pathlib import Path

TIMESYNC = Path("/run/systemd/timesync")
WAIT_S = 60.0
"""Of time since power-on. With a way out the time comes within seconds of the network."""


def is_set(timesync: Path = TIMESYNC, up_s: float | None = None) -> bool:
    """`up_s` is the time since power-on. A machine without systemd-timesyncd is taken to keep time by other means."""
    if not timesync.is_dir() or (timesync / "synchronized").exists():
        return True
    return (time.clock_gettime(time.CLOCK_BOOTTIME) if up_s is None else up_s) >= WAIT_S
