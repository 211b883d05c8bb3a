"""The servers that a client may use and what is remembered of their health. Pure; time comes in as seconds.

A server that failed is asked only after all others until it has been brought back, for which it is tried after longer
and longer rests. One success makes it whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.app.choice import Choice, Server

FIRST_REST_S, LONGEST_REST_S = 1.0, 60.0


@dataclass(slots=True)
class Known:
    """`is_open`: the session stands, so it can be dialled at once."""

    server: Server
    is_open: bool = False
    failures: int = 0
    rests_until_s: float = 0.0
    why: str = ""

    @property
    def is_well(self) -> bool:
        return self.is_open and not self.failures


class Pool:
    def __init__(self, choice: Choice, shuffle: Callable[[list[Known]], None]) -> None:
        self._choice, self._shuffle = choice, shuffle
        self.known: list[Known] = []

    def take(self, servers: list[Server]) -> None:
        """In the order of preference. Those that were known keep what is remembered of them."""
        old = {one.server: one for one in self.known}
        self.known = [old.get(server) or Known(server) for server in servers]

    def order(self, now_s: float) -> list[Known]:
        """Whom to dial for a new connection: the well ones first, then the longest rested."""
        there = [one for one in self.known if one.is_open]
        if self._choice.by == "random":
            self._shuffle(there)
        return sorted(there, key=lambda one: (one.failures > 0, max(one.rests_until_s, now_s)))

    def to_open(self, spares: int) -> list[Known]:
        """Whose session to open so that `spares` are well, where there are so many."""
        well = sum(one.is_well for one in self.known)
        ailing = sorted((one for one in self.known if not one.is_well), key=lambda one: one.rests_until_s)
        return ailing if well < spares else []

    def failed(self, one: Known, now_s: float, why: str) -> None:
        one.failures += 1
        one.rests_until_s = now_s + min(FIRST_REST_S * 2 ** min(one.failures - 1, 10), LONGEST_REST_S)
        one.why = why

    def worked(self, one: Known) -> None:
        one.is_open, one.failures, one.rests_until_s, one.why = True, 0, 0.0, ""

    def told(self) -> str:
        """In a sentence."""
        well = sum(one.is_well for one in self.known)
        if not self.known:
            return "no server known"
        return f"{well} of {len(self.known)} server{'' if len(self.known) == 1 else 's'} ready"
