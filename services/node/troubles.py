"""What others did wrongly, counted by kind for the status: forged, replayed, refused. Bounded, since they choose it."""

from __future__ import annotations

import logging
import time

from services.node.api_words import Trouble

log = logging.getLogger(__name__)

MOST = 64
LOGGED = 3
"""Of one kind; the rest is only counted."""


class Troubles:
    def __init__(self) -> None:
        self._found: dict[str, Trouble] = {}

    def note(self, what: str) -> None:
        """`what` is one sentence without numbers that differ each time, so that equal ones are counted together."""
        old = self._found.pop(what, None)
        count = old.count + 1 if old is not None else 1
        if count <= LOGGED:
            log.warning("%s", what)
        self._found[what] = Trouble(what, count, int(time.time()))
        if len(self._found) > MOST:
            del self._found[next(iter(self._found))]

    def list(self) -> tuple[Trouble, ...]:
        """The latest first."""
        return tuple(reversed(self._found.values()))
