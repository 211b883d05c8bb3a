"""Finds servers in the mesh by the node's directory, and opens sessions to them."""

from __future__ import annotations

import asyncio
import math
import random
import time

from services.addresses import session_address
from services.app.choice import Choice, Server, fitting, in_order
from services.app.errors import NoServerError
from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.manager.routes.policy import Policy
from services.node.api_words import Connect, Connected, Find, GetStatus, Resolve, Resolved, Services, Status
from services.node.client import NodeClient
from services.node.errors import NodeRefusedError

ASK_WITHIN_S, MEASURE_WITHIN_S = 10.0, 3.0
LOOPBACK_MTU = 65_536
MOST_MEASURED = 8
"""Each opens a session, which costs its route."""

__all__ = ["Choice", "Server", "find", "reach"]


async def find(node: NodeClient, service: str, choice: Choice) -> list[Server]:
    """In the order to try, never empty. Raises NoServerError, NodeError.

    Of `fastest` the time is that of a TCP connection over a session, which is opened for it to some of them at most.
    """
    found = await node.ask(Find(service), Services, ASK_WITHIN_S)
    offered = [Server(one.node_id, one.name, one.address, one.port, one.labels) for one in found.services]
    fit = fitting(choice, offered, await _ids(node, choice.servers))
    latencies: dict[Server, float] = {}
    if choice.by == "fastest" and len(fit) > 1:
        measured = fit[:MOST_MEASURED]
        latencies = dict(zip(measured, [await _latency(node, one, choice.policy) for one in measured], strict=True))
    return in_order(choice, fit, lambda one: latencies.get(one, math.inf), random.shuffle)


async def reach(node: NodeClient, server: Server, policy: Policy) -> Connected:
    """Opens the session, which a server on this node does without. Raises NoServerError with the node's reason,
    NodeAwayError.
    """
    try:
        connected = await node.ask(Connect(server.node_id, server.service, policy), Connected)
    except NodeRefusedError as error:
        if (await node.ask(GetStatus(), Status)).node_id == server.node_id:
            return Connected(server.node_id, server.address, server.port, LOOPBACK_MTU)
        raise NoServerError(f"'{server.node_id}' cannot be reached: {error}") from None
    if connected.address != str(session_address(server.node_id)):
        raise NoServerError(f"'{connected.address}' is not the address of '{server.node_id}'")
    return connected


async def _ids(node: NodeClient, names: tuple[str, ...]) -> dict[str, NodeId]:
    """Names that nobody knows are left out."""
    ids: dict[str, NodeId] = {}
    for name in names:
        try:
            ids[name] = read_node_id(name)
        except IdentityError:
            try:
                ids[name] = (await node.ask(Resolve(name), Resolved, ASK_WITHIN_S)).node_id
            except NodeRefusedError:
                continue
    return ids


async def _latency(node: NodeClient, server: Server, policy: Policy) -> float:
    """Infinite where it cannot be reached."""
    try:
        connected = await reach(node, server, policy)
        began = time.monotonic()
        async with asyncio.timeout(MEASURE_WITHIN_S):
            _, writer = await asyncio.open_connection(connected.address, server.port)
        took = time.monotonic() - began
        writer.transport.abort()
    except (NoServerError, OSError):
        return math.inf
    return took
