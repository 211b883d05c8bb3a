"""A server on this very node is reached without a session."""

import asyncio

import pytest

from services.app.errors import NoServerError
from services.app.finding import Server, reach
from services.keys import NodeId
from services.manager.routes.policy import Policy
from services.node.client import NodeClient
from tests.services.node.conftest import MakeNodes, make_host, make_nodes, swept

__all__ = ["make_host", "make_nodes", "swept"]


def test_a_server_on_this_node_needs_no_session(make_nodes: MakeNodes) -> None:
    (node,) = make_nodes("a")
    node.start()
    own = Server(NodeId(node.identity.node_id), "socks", str(node.session_address), 1080)
    other = Server(NodeId("31" * 32), "socks", "fd53::31", 1080)

    async def use() -> None:
        async with NodeClient(node.folder / "node.sock") as client:
            reached = await reach(client, own, Policy())
            assert (reached.address, reached.port) == (str(node.session_address), 1080)
            with pytest.raises(NoServerError, match="cannot be reached"):
                await reach(client, other, Policy())

    asyncio.run(use())
