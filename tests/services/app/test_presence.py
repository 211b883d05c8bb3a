"""A service is published on a real node, again after the node was killed, and withdrawn at the end."""

import asyncio

import pytest

from services.app.errors import UnpublishedError
from services.app.presence import Presence
from services.node.api_words import GetServices, Publish, Services, ServiceState
from services.node.client import Line
from tests.services.manager.engine.rack import until
from tests.services.node.conftest import MakeNodes, make_host, make_nodes, swept
from tests.services.node.world import Node

__all__ = ["make_host", "make_nodes", "swept"]

WITHIN_S = 30.0


def published(node: Node) -> tuple[ServiceState, ...]:
    with Line(node.folder / "node.sock") as line:
        return line.ask(GetServices(), Services).services


def test_it_stays_published(make_nodes: MakeNodes) -> None:
    (node,) = make_nodes("a")
    node.start()

    async def use() -> None:
        async with Presence(Publish("socks", 1080, labels=("country=de",)), node.folder / "node.sock") as presence:
            assert await presence.wait_address(WITHIN_S) == node.session_address
            assert [one.labels for one in published(node)] == [("country=de",)]
            await asyncio.to_thread(node.kill)
            await until(lambda: presence.trouble != "", "the node is missed")
            await asyncio.to_thread(node.start)
            await until(lambda: presence.trouble == "", "it is published again")
            assert [one.name for one in published(node)] == ["socks"]
        await until(lambda: not published(node), "it is withdrawn")

    asyncio.run(use())


def test_the_nodes_reason_is_told(make_nodes: MakeNodes) -> None:
    (node,) = make_nodes("a")
    node.start()

    async def use() -> None:
        async with Presence(Publish("socks", 1080, labels=("Country",)), node.folder / "node.sock") as presence:
            with pytest.raises(
                UnpublishedError, match="service 'socks' is not published: the node refuses: 'Country' is"
            ):
                await presence.wait_address(2)

    asyncio.run(use())
