"""A client in its namespace, as little of one as leases: `python -m … NODE_SOCKET SERVER_ID [AVOID…]` says what it was
leased in one line, pings, and says what else comes; it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

from services.node.api_words import Carried, Carry, Connect, Connected, GetStatus, Status
from services.node.client import NodeClient
from services.vpn.words import PORT, SERVICE, Lease, LineReader, Ping, Pong, encode, read_answer

PING_S = 1.0


async def main(socket: Path, server: str, avoid: tuple[str, ...]) -> None:
    async with NodeClient(socket) as node:
        me = (await node.ask(GetStatus(), Status)).node_id
        connected = await node.ask(Connect(server, SERVICE), Connected)
        await node.ask(Carry(server, ("0.0.0.0/0", "::/0"), lingers_s=20), Carried)
        reader, writer = await asyncio.open_connection(connected.address, connected.port or PORT)
        writer.write(encode(Lease(me, avoid)))
        await asyncio.wait(
            [asyncio.ensure_future(one) for one in (_say(reader), _ping(writer))],
            return_when=asyncio.FIRST_COMPLETED,
        )


async def _say(reader: asyncio.StreamReader) -> None:
    lines = LineReader()
    while data := await reader.read(4096):
        for line in lines.feed(data):
            if not isinstance(read_answer(line), Pong):
                print(line.decode(), flush=True)


async def _ping(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(PING_S)
        writer.write(encode(Ping(1)))


if __name__ == "__main__":
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], tuple(sys.argv[3:])))
