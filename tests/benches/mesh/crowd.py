"""Nodes that are only their ends at the manager: real identities that join at the real door, connect to the real bus,
say that they are there and carry out orders. One process on the manager's host is as many of them as it is told.

python -m tests.benches.mesh.crowd COUNT PORT      until its standard input is closed
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from contextlib import AsyncExitStack

from services.keys import Identity, new_seed
from services.manager.errors import ManagerError
from tests.services.manager.program.ends import Node

AGAIN_S, TRIES = 2.0, 100
SAID_EVERY_S = 60.0


async def main(count: int, port: int) -> None:
    nodes = [Node(Identity(new_seed()), relays=False) for _ in range(count)]
    async with AsyncExitStack() as stack:
        for node in nodes:
            await come(node, port)
            stack.push_async_callback(node.close)
        print("joined", flush=True)
        talk = asyncio.create_task(keep_talking(nodes))
        await asyncio.to_thread(sys.stdin.read)
        talk.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await talk


async def come(node: Node, port: int) -> None:
    """The door lets one address in only so often."""
    for left in range(TRIES, -1, -1):
        try:
            await node.connect(await node.join(port))
        except (ManagerError, OSError, EOFError):
            if not left:
                raise
            await asyncio.sleep(AGAIN_S)
        else:
            await node.say("record", node.record())
            await node.say_links()
            return


async def keep_talking(nodes: list[Node]) -> None:
    while True:
        for node in nodes:
            await node.say_links()
            await asyncio.sleep(SAID_EVERY_S / len(nodes))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
