"""The floor under the cluster's figures: as many bare TCP echoes, one after the other and all at once.

A program of its own, since it must run in the network namespace of the daemons:
`python -m tests.benches.cluster_echo ADDRESS…` prints both medians in seconds.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

PORT = 7007
ROUNDS = 21
QUESTION = b'{"id":1,"request":{"do":"status"}}\n'

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


async def ask(line: Line) -> None:
    reader, writer = line
    writer.write(QUESTION)
    await reader.readline()


async def ask_in_turn(lines: list[Line]) -> None:
    for line in lines:
        await ask(line)


async def ask_at_once(lines: list[Line]) -> None:
    await asyncio.gather(*map(ask, lines))


async def measure(way: Callable[[list[Line]], Awaitable[None]], lines: list[Line]) -> float:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        await way(lines)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


async def main(addresses: list[str]) -> None:
    servers = [await asyncio.start_server(echo, address, PORT) for address in addresses]
    lines = [await asyncio.open_connection(address, PORT) for address in addresses]
    print(await measure(ask_in_turn, lines), await measure(ask_at_once, lines))
    for _, writer in lines:
        writer.close()
    for server in servers:
        server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
