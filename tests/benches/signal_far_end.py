"""The other process of the signal bench: `member`, `crowd N`, `echo`. Runs until its standard input is closed.

`echo` listens and prints its port; `crowd` connects N programs and registers them as 1000 and following.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

from viscript.signal import SignalClient
from viscript.signal.model import Address
from viscript.signal.settings import Settings


class Echo(asyncio.Protocol):
    """The least that asyncio can do over TCP."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def main(role: str, port: int, count: int) -> None:
    async with AsyncExitStack() as stack:
        if role == "echo":
            listener = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
            print(listener.sockets[0].getsockname()[1], flush=True)
        for client_id in range(1000, 1000 + count) if role == "crowd" else [7] if role == "member" else []:
            client = SignalClient(Settings(True, Address("127.0.0.1", port), client_id))
            await stack.enter_async_context(client)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
