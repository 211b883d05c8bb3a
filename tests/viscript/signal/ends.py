"""Ends of a signal connection for tests: sessions in a given state, a server to work with, strangers with raw bytes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from viscript.signal import SignalServer
from viscript.signal.model import ALL_EXTENSIONS, Address, Event, Extension, Peer, Registered, Registering, Role
from viscript.signal.session import Session

REG_7 = bytes.fromhex("01 00000001 00000009 00 7b224964223a377d")
REG_ANSWER = bytes.fromhex("80 00000001 01 00000001 00000009 80 7b224964223a377d")
ACK_1 = bytes.fromhex("80 00000001")
RECORDED = Path(__file__).with_name("recorded.txt")


def say(session: Session, data: bytes) -> list[Event]:
    """Everything that these bytes cause."""
    session.feed(data)
    events = []
    while (event := session.next_event()) is not None:
        events.append(event)
    return events


def join(client: Session, server: Session) -> tuple[list[Event], list[Event]]:
    """Carry bytes between two ends until neither has more to say: what the client saw, what the server saw."""
    seen_by_client, seen_by_server = list[Event](), list[Event]()
    while True:
        up, down = client.take_output(), server.take_output()
        if not up and not down:
            return seen_by_client, seen_by_server
        seen_by_server += say(server, up)
        seen_by_client += say(client, down)


def make_live_pair(offer: frozenset[Extension] = ALL_EXTENSIONS) -> tuple[Session, Session]:
    """Client and server, registered as 7."""
    client, server = Session(Role.CLIENT), Session(Role.SERVER)
    client.register(7, offer)
    assert join(client, server) == ([], [Registering(7)])
    server.accept(ALL_EXTENSIONS)
    assert join(client, server) == ([Registered(offer)], [])
    return client, server


def read_recorded() -> list[tuple[str, bytes]]:
    """The recorded session: who says what, in turn."""
    lines = (line for line in RECORDED.read_text().splitlines() if line[0] in "CS")
    return [(line[0], bytes.fromhex(line[1:])) for line in lines]


def run_with_server(
    work: Callable[[SignalServer, Address], Awaitable[None]],
    owner: Callable[[Peer, int], bool] = lambda _peer, _id: True,
    extensions: frozenset[Extension] = ALL_EXTENSIONS,
) -> None:
    async def main() -> None:
        server = SignalServer(owner=owner, extensions=extensions)
        address = await server.start("127.0.0.1", 0)
        try:
            async with asyncio.timeout(60):
                await work(server, address)
        finally:
            await server.close()

    asyncio.run(main(), debug=True)


async def expect_closed(address: Address, sent: bytes, *, registered: bool = False) -> bytes:
    """Send, as program 7 or as a stranger, and wait until the server hangs up on us; what it said until then."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    if registered:
        writer.write(REG_7)
        await reader.readexactly(len(REG_ANSWER))
        writer.write(ACK_1)
    writer.write(sent)
    heard = b""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(20):
            while data := await reader.read(4096):
                heard += data
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return heard
