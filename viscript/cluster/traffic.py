"""Counts the bytes of one connection, and says how many went by a second. No I/O."""

from __future__ import annotations

import time

INTERVAL_S = 1.0
"""Shortest time over which a rate is told."""


class Traffic:
    """Bytes so far, and how many a second since somebody last wanted to know."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.received_bytes = 0
        self._since = time.monotonic()
        self._marked = (0, 0)
        self._rates = (0.0, 0.0)

    def read_rates(self) -> tuple[float, float]:
        """Sent and received, in bytes per second over the last interval."""
        now = time.monotonic()
        passed = now - self._since
        if passed >= INTERVAL_S:
            self._rates = (
                (self.sent_bytes - self._marked[0]) / passed,
                (self.received_bytes - self._marked[1]) / passed,
            )
            self._marked, self._since = (self.sent_bytes, self.received_bytes), now
        return self._rates
