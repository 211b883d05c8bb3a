"""Refusals in the log: of each cause one line a minute at most, with how many there were since the last."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

EACH_S = 60.0
MOST_CAUSES = 64
"""Causes are words of ours; more than that would be somebody else's, and are told as one."""

OTHER = "other"
MOST_TOLD = 400
"""Characters of a sentence, which may quote a stranger: none of them begins a line of its own."""


class Refusals:
    """`counts`: how many of each cause, since the start."""

    def __init__(self, log: logging.Logger, now_s: Callable[[], float] = time.monotonic) -> None:
        self._log, self._now_s = log, now_s
        self._told_s: dict[str, float] = {}
        self._untold: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def note(self, cause: str, sentence: str) -> None:
        if cause not in self.counts and len(self.counts) >= MOST_CAUSES:
            cause = OTHER
        self.counts[cause] += 1
        now_s = self._now_s()
        if now_s - self._told_s.get(cause, -EACH_S) < EACH_S:
            self._untold[cause] += 1
            return
        self._told_s[cause] = now_s
        more = self._untold.pop(cause, 0)
        told = (sentence if sentence.isprintable() else ascii(sentence)[1:-1])[:MOST_TOLD]
        self._log.warning("%s%s", told, f" ({more} more of the kind before)" if more else "")
