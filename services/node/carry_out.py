"""Who carries out which order: labels and links do, and on an expulsion everybody. Sessions register theirs."""

from __future__ import annotations

from services.manager.asks import EXPELLED, LABEL, NEIGHBOURS, ExpelledNodes, Neighbours, Reply
from services.manager.model import Label
from services.manager.signed import Order, decode
from services.node.home import Home
from services.node.labels import Labels
from services.node.links import Links


def register(home: Home, links: Links, labels: Labels) -> None:
    async def label(order: Order) -> Reply:
        await labels.take(decode(order.body, Label, LABEL))
        return Reply()

    async def neighbours(order: Order) -> Reply:
        await links.take(decode(order.body, Neighbours, NEIGHBOURS))
        return Reply()

    async def expelled(order: Order) -> Reply:
        node_ids = decode(order.body, ExpelledNodes, EXPELLED).node_ids
        await links.expel(node_ids)
        await home.expelled(node_ids)
        return Reply()

    home.on(LABEL, label)
    home.on(NEIGHBOURS, neighbours)
    home.on(EXPELLED, expelled)
