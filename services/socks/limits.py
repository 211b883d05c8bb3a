"""How much one client may have at once and in a second. Pure; time comes in as a monotonic clock's seconds.

A client is whom its address stands for: in the mesh a node, which is known by its key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`per_second` are new connections, of which `burst` may come at once; `associations` are UDP's."""

    connections: int = 5000
    per_client: int = 1000
    per_second: float = 100.0
    burst: int = 500
    associations: int = 16

    def __post_init__(self) -> None:
        if min(self.connections, self.per_client, self.burst) < 1 or self.per_second <= 0 or self.associations < 0:
            raise ValueError("limits are numbers above 0 (`associations` may be 0: no UDP)")


class Over(StrEnum):
    """Why somebody has too much; the text is the cause in the log."""

    CONNECTIONS = "connections of one client"
    RATE = "new connections a second of one client"
    ASSOCIATIONS = "UDP associations of one client"


@dataclass(slots=True)
class _Held:
    tokens: float
    since_s: float
    connections: int = 0
    associations: int = 0


class Clients:
    """Who is here with how much. Those that have nothing open are forgotten once their burst is whole again."""

    def __init__(self, limits: Limits, most: int = 0) -> None:
        """`most` connections in all, where fewer can be had than the limits say."""
        self._limits, self._most = limits, most or limits.connections
        self._held: dict[object, _Held] = {}
        self.connections = 0

    @property
    def is_full(self) -> bool:
        return self.connections >= self._most

    def __len__(self) -> int:
        return sum(held.connections > 0 for held in self._held.values())

    def enter(self, client: object, now_s: float) -> Over | None:
        """Counts one connection in any case: `leave` must follow."""
        limits = self._limits
        held = self._held.get(client)
        if held is None:
            held = self._held[client] = _Held(limits.burst, now_s)
        held.tokens = min(limits.burst, held.tokens + (now_s - held.since_s) * limits.per_second)
        held.since_s = now_s
        held.connections += 1
        self.connections += 1
        if held.connections > limits.per_client:
            return Over.CONNECTIONS
        if held.tokens < 1:
            return Over.RATE
        held.tokens -= 1
        return None

    def leave(self, client: object, now_s: float) -> None:
        held = self._held[client]
        held.connections -= 1
        self.connections -= 1
        if len(self._held) > 2 * self._limits.connections:
            self._forget(now_s)

    def associate(self, client: object) -> Over | None:
        """None where it is counted: `dissociate` must follow."""
        held = self._held[client]
        if held.associations >= self._limits.associations:
            return Over.ASSOCIATIONS
        held.associations += 1
        return None

    def dissociate(self, client: object) -> None:
        self._held[client].associations -= 1

    def _forget(self, now_s: float) -> None:
        whole_s = self._limits.burst / self._limits.per_second
        for client, held in tuple(self._held.items()):
            if not held.connections and now_s - held.since_s > whole_s:
                del self._held[client]
