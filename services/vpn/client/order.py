"""Which server to try next, pure. One that died or refused goes to the end for a while; the one in use stays first, so
a node that restarts comes back to the same addresses.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.app.choice import Server
from services.keys import NodeId

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.3, 10.0
OUT_S = 60.0


class Order:
    def __init__(self) -> None:
        self._out_until_s: dict[NodeId, float] = {}
        self._used: NodeId | None = None
        self._pause_s = FIRST_PAUSE_S

    def sort(self, servers: Sequence[Server], now_s: float) -> list[Server]:
        """All of them: those that failed lately are better than none."""
        places = {server: place for place, server in enumerate(servers)}
        return sorted(
            servers,
            key=lambda one: (self._out_until_s.get(one.node_id, 0.0) > now_s, one.node_id != self._used, places[one]),
        )

    def worked(self, server: Server) -> None:
        self._used, self._pause_s = server.node_id, FIRST_PAUSE_S
        self._out_until_s.pop(server.node_id, None)

    def failed(self, server: Server, now_s: float, out_s: float = OUT_S) -> None:
        self._out_until_s[server.node_id] = now_s + out_s
        if self._used == server.node_id and out_s >= OUT_S:
            self._used = None

    def pause_s(self) -> float:
        """Before the next round; longer each time, until one worked."""
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        return pause_s
