"""What others did wrongly towards this node, counted: refused records, false orders, sessions nobody may have."""

from __future__ import annotations

import logging
import time

import msgspec

from services.node.api_words import Trouble

log = logging.getLogger(__name__)

MOST = 64


class Troubles:
    """The newest kinds; each is logged the first time alone, so that nobody fills the log from afar."""

    def __init__(self) -> None:
        self._found: dict[str, Trouble] = {}

    def note(self, what: str) -> None:
        """A sentence without numbers that differ each time, so that equal ones are counted together."""
        known = self._found.pop(what, None)
        if known is None:
            log.warning("%s", what)
            known = Trouble(what, 0, 0)
        self._found[what] = msgspec.structs.replace(known, count=known.count + 1, last_unix_s=int(time.time()))
        if len(self._found) > MOST:
            del self._found[next(iter(self._found))]

    def list(self) -> tuple[Trouble, ...]:
        """The latest first."""
        return tuple(reversed(self._found.values()))
