"""What the messenger asks of the node on this machine: who it is, who others are, sessions to them, and its word for
the messenger's key. Each question is a connection of its own, so a node that restarts is asked anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from services.addresses import session_address
from services.keys import NodeId
from services.manager.routes.policy import Policy
from services.messenger.crypto import PURPOSE
from services.messenger.errors import AskedWronglyError, UnreachableError
from services.messenger.switchboard import Place
from services.node.api_words import (
    Connect,
    Connected,
    GetPets,
    GetStatus,
    Pets,
    Resolve,
    Resolved,
    Status,
    Vouch,
    Vouched,
)
from services.node.client import NodeClient
from services.node.errors import NodeError, NodeRefusedError

SERVICE = "messenger"
ASK_WITHIN_S, CONNECT_WITHIN_S = 10.0, 40.0
T = TypeVar("T", bound=msgspec.Struct)


class NodeDoor:
    def __init__(self, socket: Path | None, port: int, policy: Policy) -> None:
        """`port`: where messengers listen whose node does not say; `policy` of the routes to them."""
        self._socket, self._port, self._policy = socket, port, policy

    async def _ask(self, request: msgspec.Struct, kind: type[T], within_s: float = ASK_WITHIN_S) -> T:
        async with NodeClient(self._socket) as node:
            return await node.ask(request, kind, within_s)

    async def own_id(self) -> NodeId:
        """Raises NodeError."""
        return (await self._ask(GetStatus(), Status)).node_id

    async def vouch(self, key: NodeId) -> bytes:
        """Raises NodeError."""
        return (await self._ask(Vouch(PURPOSE, bytes.fromhex(key)), Vouched)).signed

    async def reach(self, peer: NodeId) -> Place:
        """Raises UnreachableError with the node's reason."""
        try:
            connected = await self._ask(Connect(peer, SERVICE, self._policy), Connected, CONNECT_WITHIN_S)
        except (NodeError, OSError) as error:
            raise UnreachableError(f"'{peer}' cannot be reached: {error or 'the node does not answer'}") from None
        return Place(connected.address, connected.port or self._port)

    async def resolve(self, name: str) -> Resolved:
        """Raises AskedWronglyError where nobody has that name."""
        try:
            return await self._ask(Resolve(name), Resolved)
        except NodeRefusedError as error:
            raise AskedWronglyError(f"nobody is known as '{name[:80]}': {error}") from None
        except (NodeError, OSError) as error:
            raise AskedWronglyError(
                f"nobody is known here as '{name[:80]}', and the node cannot be asked: {error}"
            ) from None

    async def pets(self) -> dict[NodeId, str]:
        """Raises NodeError."""
        return {pet.node_id: pet.name for pet in (await self._ask(GetPets(), Pets)).pets}


def address_of(node_id: NodeId) -> str:
    """The address that alone a node's packets come from. Raises NodeIdError."""
    return str(session_address(node_id))
