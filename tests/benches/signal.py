"""How fast the signal line is, beside a bare asyncio echo over TCP on the same loopback, in turns in the same run.

Program and server are two processes, as they are in life. What 200 idle programs cost is put together from what
can be measured in seconds: the server's CPU while nothing is said, and its CPU for each PING, of which 200
programs send 200 in a minute.
"""

import asyncio
import contextlib
import socket
import statistics
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benches.figures import Figure
from tests.benches.signal_far_end import Echo
from viscript.signal import SignalServer
from viscript.signal.model import PING_INTERVAL_S, Address, Role
from viscript.signal.session import Session

ROOT = Path(__file__).parents[2]
AT_ONCE = 32
BODY = bytes(18)
"""As long as a PING question is on an extended line."""


@dataclass(frozen=True, slots=True)
class Effort:
    rounds: int = 100
    pings: int = 100
    crowd: int = 200
    idle_s: float = 20.0
    beats: int = 20
    """PINGs of each program of the crowd in a round; more than 50 in a row are a flood."""


def bench(effort: Effort = Effort()) -> list[Figure]:
    return asyncio.run(_measure(effort))


async def _measure(effort: Effort) -> list[Figure]:
    return [*await measure_pings(effort), await measure_idle(effort)]


# speed


async def measure_pings(effort: Effort) -> list[Figure]:
    async with run_server() as (server, address), far_end("member", address.port), far_end("echo") as echo_port:
        await server.wait_connected(7, 30)
        asker = await Asker.connect(echo_port)

        async def ping() -> float:
            return await server.ping(7)

        one, many, echo_one, echo_many = list[float](), list[float](), list[float](), list[float]()
        ours, theirs = list[float](), list[float]()
        for _ in range(effort.rounds):
            one.append(await take_in_turn(ping, effort.pings, ours))
            echo_one.append(await take_in_turn(asker.ask, effort.pings, theirs))
            many.append(await take_at_once(ping, effort.pings))
            echo_many.append(await take_at_once(asker.ask, effort.pings))
        asker.close()
    middle = statistics.median
    peer = "bare asyncio echo"
    return [
        Figure("ping, median", "≤ 0.3 ms", middle(ours) * 1e3, "ms", f"{peer}: {middle(theirs) * 1e3:.3f} ms"),
        Figure("pings, one after another", "≥ 5000 /s", middle(one), "/s", f"{peer}: {middle(echo_one):.0f} /s"),
        Figure(f"pings, {AT_ONCE} at once", "≥ 5000 /s", middle(many), "/s", f"{peer}: {middle(echo_many):.0f} /s"),
    ]


async def take_in_turn(ask: Callable[[], Awaitable[float]], count: int, took: list[float]) -> float:
    """Answers per second; what each took is added to the list."""
    before = time.perf_counter()
    took.extend([await ask() for _ in range(count)])
    return count / (time.perf_counter() - before)


async def take_at_once(ask: Callable[[], Awaitable[float]], count: int) -> float:
    async def some() -> None:
        for _ in range(count // AT_ONCE + 1):
            await ask()

    before = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return (count // AT_ONCE + 1) * AT_ONCE / (time.perf_counter() - before)


class Asker(asyncio.Protocol):
    """Asks a bare echo, with answers in the order of the questions."""

    def __init__(self) -> None:
        self._owed: list[asyncio.Future[None]] = []
        self._size = 0

    @classmethod
    async def connect(cls, port: int) -> "Asker":
        transport, asker = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        asker.transport = transport
        return asker

    transport: asyncio.Transport

    async def ask(self) -> float:
        before = time.perf_counter()
        answer = asyncio.get_running_loop().create_future()
        self._owed.append(answer)
        self.transport.write(BODY)
        await answer
        return time.perf_counter() - before

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        while self._size >= len(BODY):
            self._size -= len(BODY)
            self._owed.pop(0).set_result(None)

    def close(self) -> None:
        self.transport.close()


# cost of silence


async def measure_idle(effort: Effort) -> Figure:
    async with run_server() as (server, address):
        echo = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
        async with far_end("crowd", address.port, effort.crowd):
            for client_id in range(1000, 1000 + effort.crowd):
                await server.wait_connected(client_id, 60)
            before = time.process_time()
            await asyncio.sleep(effort.idle_s)
            idle = (time.process_time() - before) / effort.idle_s
        ours, theirs = list[float](), list[float]()
        for _ in range(3):
            ours.append(await take_cpu(address.port, effort, registers=True))
            theirs.append(await take_cpu(echo.sockets[0].getsockname()[1], effort, registers=False))
        echo.close()
        await echo.wait_closed()
    beats_per_s = effort.crowd / PING_INTERVAL_S
    return Figure(
        f"server's CPU with {effort.crowd} idle programs",
        "< 1 % of a core",
        (idle + statistics.median(ours) * beats_per_s) * 100,
        "%",
        f"bare asyncio echo, asked as often: {statistics.median(theirs) * beats_per_s * 100:.4f} %",
    )


async def take_cpu(port: int, effort: Effort, *, registers: bool) -> float:
    """CPU seconds of this process for one PING, each in a loop's turn of its own. Blocking sockets in another thread
    say them, whose CPU is not counted.
    """
    said_by = await asyncio.to_thread(connect_crowd, port, effort.crowd, registers)
    mine = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
    await asyncio.to_thread(beat, said_by, effort.beats)
    used = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) - mine
    for end in said_by:
        end.close()
    return used / (effort.crowd * effort.beats)


def connect_crowd(port: int, count: int, registers: bool) -> list[socket.socket]:
    ends = []
    for client_id in range(5000, 5000 + count):
        end = socket.create_connection(("127.0.0.1", port), 30)
        if registers:
            session = Session(Role.CLIENT)
            session.register(client_id)
            end.sendall(session.take_output())
            while session.state.name != "LIVE":
                session.feed(end.recv(4096))
                while session.next_event() is not None:
                    pass
            end.sendall(session.take_output())
        ends.append(end)
    return ends


def beat(ends: list[socket.socket], beats: int) -> None:
    ping = struct.pack(">BQ", 0x81, 1_700_000_000_000)
    for _ in range(beats):
        for end in ends:
            end.sendall(ping)
            end.recv(64)


# ends


@contextlib.asynccontextmanager
async def run_server() -> AsyncIterator[tuple[SignalServer, Address]]:
    server = SignalServer()
    address = await server.start("127.0.0.1", 0)
    try:
        yield server, address
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def far_end(role: str, port: int = 0, count: int = 0) -> AsyncIterator[int]:
    """Run it in another process; yields the port it listens at, if it does."""
    child = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.benches.signal_far_end", role, str(port), str(count)],
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        async with asyncio.timeout(30):
            yield_port = int(await child.stdout.readline()) if role == "echo" else 0
        yield yield_port
    finally:
        child.stdin.close()
        async with asyncio.timeout(30):
            await child.wait()
