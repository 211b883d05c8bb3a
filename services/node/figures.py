"""What is measured of one link: round trip, loss, up or down. Pure; time is given.

Up with the first answer, down after three losses in a row. `has_news` tells when the figures have moved so far from
what was last reported that the manager should know.
"""

from __future__ import annotations

from collections import deque

LOST_IN_A_ROW = 3
WINDOW = 60
SMOOTHING = 8
MUCH_RTT, MUCH_RTT_S, MUCH_LOSS = 0.3, 0.003, 0.05


class Figures:
    def __init__(self, now_s: float) -> None:
        self.is_up = False
        self.since_s = now_s
        """When it came up or went down."""
        self.rtt_s = 0.0
        self.lost_in_a_row = 0
        self._answers: deque[bool] = deque(maxlen=WINDOW)
        self._reported: tuple[bool, float, float] | None = None

    @property
    def state(self) -> tuple[bool, float]:
        """Whether it is up, and since when."""
        return self.is_up, self.since_s

    @property
    def loss(self) -> float:
        """A share from 0 to 1."""
        return self._answers.count(False) / len(self._answers) if self._answers else 0.0

    @property
    def patience_s(self) -> float:
        """How long an answer may take while the link is up."""
        return min(3.0, max(0.3, 3 * self.rtt_s))

    def answered(self, rtt_s: float, now_s: float) -> None:
        self._answers.append(True)
        self.lost_in_a_row = 0
        self.rtt_s = rtt_s if not self.rtt_s or not self.is_up else self.rtt_s + (rtt_s - self.rtt_s) / SMOOTHING
        if not self.is_up:
            self.is_up, self.since_s = True, now_s

    def lost(self, now_s: float) -> None:
        self.lost_in_a_row += 1
        if self.is_up:
            self._answers.append(False)
            if self.lost_in_a_row >= LOST_IN_A_ROW:
                self.is_up, self.since_s = False, now_s
                self._answers.clear()

    def has_news(self) -> bool:
        if self._reported is None:
            return self.is_up
        was_up, rtt_s, loss = self._reported
        if was_up != self.is_up or not self.is_up:
            return was_up != self.is_up
        moved_s = abs(self.rtt_s - rtt_s)
        return (moved_s > MUCH_RTT * rtt_s and moved_s > MUCH_RTT_S) or abs(self.loss - loss) > MUCH_LOSS

    def report(self) -> None:
        self._reported = (self.is_up, self.rtt_s, self.loss)
