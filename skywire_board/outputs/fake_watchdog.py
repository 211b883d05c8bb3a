"""A watchdog in memory, for machines without one, with the rules of the kernel's drivers.

It bites when it is not fed for `timeout_s` of `clock`; a close without a V before it leaves it armed; one process has
it at a time; timeouts above `most_s` are refused.
"""

import errno
import os
from collections.abc import Callable

from skywire_board.outputs.watchdog import WDIOC_GETBOOTSTATUS, WDIOC_GETTIMEOUT, WDIOC_SETTIMEOUT, WDIOF_CARDRESET


class FakeWatchdog:
    """The board's side: `open` is what opening the device file does, `has_bitten` what a reset would have been."""

    def __init__(self, clock: Callable[[], float], *, most_s: int = 60, status: int = 0) -> None:
        self._clock, self._most_s, self._status = clock, most_s, status
        self.timeout_s = min(30, most_s)
        self.armed = self.is_open = False
        self.fed = 0
        self._last_s = 0.0

    @property
    def has_bitten(self) -> bool:
        """It has reset the board, or would have."""
        return self.armed and self._clock() - self._last_s > self.timeout_s

    def open(self) -> "FakeDevice":
        """Raises OSError (EBUSY) while another has it."""
        if self.is_open:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self.is_open = self.armed = True
        self._last_s = self._clock()
        return FakeDevice(self)

    def take(self, request: int, value: int) -> int:
        """An ioctl."""
        if request == WDIOC_SETTIMEOUT:
            if not 1 <= value <= self._most_s:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            self.timeout_s = value
        elif request not in (WDIOC_GETTIMEOUT, WDIOC_GETBOOTSTATUS):
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        return self._status & WDIOF_CARDRESET if request == WDIOC_GETBOOTSTATUS else self.timeout_s

    def feed(self) -> None:
        """Once bitten, it is too late."""
        if not self.has_bitten:
            self.fed += 1
            self._last_s = self._clock()


class FakeDevice:
    """An open device file of it."""

    def __init__(self, watchdog: FakeWatchdog) -> None:
        self._watchdog = watchdog
        self._may_close = False

    def write(self, data: bytes) -> None:
        """Feeds; a V is remembered until the next write."""
        self._watchdog.feed()
        self._may_close = b"V" in data

    def ask(self, request: int, value: int) -> int:
        """An ioctl."""
        return self._watchdog.take(request, value)

    def close(self) -> None:
        """Disarms after a V."""
        self._watchdog.is_open = False
        if self._may_close:
            self._watchdog.armed = False
