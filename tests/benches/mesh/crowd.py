"""Nodes that are only their ends at the manager: real identities that join at the real door, connect to the real bus,
say that they are there and carry out orders. One process on the manager's host is as many of them as it is told.

The bus takes a node's token from that node's session address alone, so these are given to a device of the host.

python -m tests.benches.mesh.crowd COUNT PORT DEVICE      until its standard input is closed
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Any

from services.addresses import session_address
from services.keys import Identity, new_seed
from services.manager.errors import ManagerError
from tests.services.manager.program.ends import Node

AGAIN_S, TRIES = 2.0, 100
SAID_EVERY_S = 60.0


own_address: ContextVar[str] = ContextVar("own_address")
_open_connection = asyncio.open_connection


async def open_from_own(host: str, port: int, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """nats-py has no way to be told where a connection is from."""
    return await _open_connection(host, port, **{"local_addr": (own_address.get(), 0), **options})


def give_addresses(nodes: list[Node], device: str) -> None:
    lines = "".join(f"address add {session_address(node.id)}/128 dev {device} nodad\n" for node in nodes)
    subprocess.run(["ip", "-batch", "-"], input=lines.encode(), check=True, timeout=60)


async def main(count: int, port: int, device: str) -> None:
    asyncio.open_connection = open_from_own  # type: ignore[assignment]
    nodes = [Node(Identity(new_seed()), relays=False) for _ in range(count)]
    await asyncio.to_thread(give_addresses, nodes, device)
    async with AsyncExitStack() as stack:
        for node in nodes:
            own_address.set(str(session_address(node.id)))
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
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
