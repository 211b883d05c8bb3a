"""What a conversation is made of, pure: the next sequence, what was taken already, and how far a message has come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from services.messenger.model import MAX_SEQUENCE

State = Literal["waiting", "boxed", "delivered", "read", "failed", "unread"]

RANK: dict[State, int] = {"failed": 0, "waiting": 1, "boxed": 2, "delivered": 3, "read": 4}
"""Of one's own messages; a state is only ever followed by a higher one."""

MAX_JUMP = 1 << 32
"""How much higher than anything known a peer's sequence may be: no peer uses up the numbers of a conversation."""

MAX_GAPS = 256


def next_sequence(highest: int) -> int:
    """For a message of one's own, after all that is known in the conversation."""
    return highest + 1


def is_fair(sequence: int, highest: int) -> bool:
    return 1 <= sequence <= min(MAX_SEQUENCE, highest + MAX_JUMP)


@dataclass(frozen=True, slots=True)
class Window:
    """Which numbers of one stream were taken: all up to `upto`, and `beyond` it from the first to the last of each
    pair, in order, with gaps between. What is in it is never taken again.
    """

    upto: int = 0
    beyond: tuple[tuple[int, int], ...] = ()

    def holds(self, number: int) -> bool:
        return number <= self.upto or any(first <= number <= last for first, last in self.beyond)

    @property
    def is_full(self) -> bool:
        return len(self.beyond) >= MAX_GAPS

    def take(self, number: int) -> Window:
        """With this one, which it did not hold."""
        if not self.beyond:
            return Window(number) if number == self.upto + 1 else Window(self.upto, ((number, number),))
        pairs: list[tuple[int, int]] = []
        for first, last in sorted((*self.beyond, (number, number))):
            if pairs and first == pairs[-1][1] + 1:
                pairs[-1] = (pairs[-1][0], last)
            else:
                pairs.append((first, last))
        if pairs[0][0] == self.upto + 1:
            return Window(pairs[0][1], tuple(pairs[1:]))
        return Window(self.upto, tuple(pairs))


def later(old: State, new: State) -> State:
    """An answer that comes late, or twice, takes nothing back; what failed may still arrive."""
    return new if RANK[new] > RANK[old] else old


def least(states: Iterable[State]) -> State:
    """Of a group's message: the least that holds of all members, but for those that refused it."""
    found = list(states)
    heard = [state for state in found if state != "failed"]
    return min(heard, key=RANK.__getitem__, default="failed" if found else "delivered")
