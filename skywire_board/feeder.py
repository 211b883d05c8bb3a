"""Feeds the hardware watchdog from the event loop, as long as `feeding.why_starve` finds nothing; opens it when told.

Once there is a reason not to feed, it is fed no more: the board is reset, though the reason may go away.
"""

import asyncio
import logging
from collections.abc import Callable

from skywire_board.outputs.watchdog import Watchdog

log = logging.getLogger("skywire_board")

OPEN_AGAIN_S = 10.0
OPEN_TIMES = 6

Open = Callable[[], Watchdog]


class Feeder:
    """`opened` is None on a board that shall not have one; `why_starve` is asked before each feed."""

    def __init__(self, opened: Open | None, why_starve: Callable[[], str]) -> None:
        self._open, self._why_starve = opened, why_starve
        self._loop = asyncio.get_running_loop()
        self._watchdog: Watchdog | None = None
        self._next: asyncio.TimerHandle | None = None
        self._tries = 0
        self.state = "off" if opened is None else "not armed yet"

    def arm(self) -> None:
        """Open it, or look for it some times more: its driver may be a module, another process may have it still."""
        if self._open is None or self._watchdog is not None:
            return
        self._tries += 1
        try:
            self._watchdog = self._open()
        except OSError as error:
            if self._tries < OPEN_TIMES:
                self._next = self._loop.call_later(OPEN_AGAIN_S, self.arm)
                return
            self.state = f"none: {error.strerror or error}"
            log.info("no hardware watchdog: %s", error)
            return
        self.state = f"armed, {self._watchdog.timeout_s} s"
        log.info("the hardware watchdog is armed: it resets the board when it is not fed for %s", self.state[7:])
        if self._watchdog.has_bitten:
            log.warning("it was the hardware watchdog that restarted the board")
        self._feed()

    def close(self) -> None:
        """In order: it is disarmed. Not when it starves: a restart of the supervisor is no way out."""
        if self._next is not None:
            self._next.cancel()
        if self._watchdog is not None and not self.state.startswith("starves"):
            try:
                self._watchdog.disarm()
            except OSError as error:
                log.warning("the hardware watchdog cannot be disarmed: %s", error)
        self._watchdog = None

    def _feed(self) -> None:
        if self._watchdog is None:
            return
        why = self._why_starve()
        if why:
            self.state = f"starves: {why}"
            log.error("the hardware watchdog is fed no more and will reset the board: %s", why)
            return
        try:
            self._watchdog.feed()
        except OSError as error:
            log.warning("the hardware watchdog cannot be fed: %s", error)
        self._next = self._loop.call_later(self._watchdog.interval_s, self._feed)
