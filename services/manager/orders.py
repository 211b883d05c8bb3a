"""Orders to nodes: numbered by the lease, signed, sent, and acknowledged. Only who leads gives any."""

from __future__ import annotations

from services.keys import Identity, NodeId
from services.manager.asks import Reply
from services.manager.bus import Bus
from services.manager.errors import BusError, HopError, SilentHopError, WordsError
from services.manager.lease import Lease
from services.manager.signed import decode, sign_order
from services.manager.subjects import down

ANSWER_WITHIN_S = 2.5
"""A node that is there answers in milliseconds, and on a board that is just starting in a second or two. Who asked is
told that it may ask again."""

MAX_WHY = 300


class Orders:
    def __init__(self, identity: Identity, bus: Bus, lease: Lease) -> None:
        self._identity, self._bus, self._lease = identity, bus, lease

    def make(self, node_id: NodeId, kind: str, body: object) -> bytes:
        """Send what was made first first: a node takes no order older than its last. Raises BusError, WordsError."""
        return sign_order(self._identity, node_id, self._lease.next_revision(), kind, body)

    async def send(self, node_id: NodeId, kind: str, order: bytes, within_s: float = ANSWER_WITHIN_S) -> Reply:
        """Until it is done. Raises HopError: refused, or not answered."""
        try:
            answer = await self._bus.ask(down(node_id, kind), order, within_s)
        except BusError as error:
            raise SilentHopError(f"node '{node_id}' does not answer: {error}") from None
        try:
            reply = decode(answer, Reply, f"reply of node '{node_id}'")
        except WordsError as error:
            raise HopError(str(error)) from None
        if reply.why:
            raise HopError(f"node '{node_id}' refuses: {reply.why[:MAX_WHY]}")
        return reply

    async def give(self, node_id: NodeId, kind: str, body: object, within_s: float = ANSWER_WITHIN_S) -> Reply:
        """Both. Raises BusError, WordsError, HopError."""
        return await self.send(node_id, kind, self.make(node_id, kind, body), within_s)
