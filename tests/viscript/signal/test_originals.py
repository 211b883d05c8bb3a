"""Our ends against the recorded original, over real sockets: the same bytes, in the same order."""

import asyncio
import os

import pytest

from tests.viscript.signal.ends import REG_7, read_recorded, run_with_server
from viscript.signal import SignalClient, SignalServer
from viscript.signal.model import Ack, Address, Frame, Normal
from viscript.signal.settings import Settings
from viscript.signal.wire import FrameReader


def test_our_server_talks_to_an_original_as_recorded() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        answers = list[object]()

        async def ask_all() -> None:
            await server.wait_connected(7, 20)
            for ask in (server.ping, server.top, server.shutdown):
                answers.append(await ask(7, 20))

        asking = asyncio.ensure_future(ask_all())
        for who, raw in read_recorded():
            if who == "C":
                writer.write(raw)
            else:
                assert await reader.readexactly(len(raw)) == raw
        await asking
        assert answers[1:] == [{"Alloc": 313744}, 17720]
        assert await reader.readexactly(5) == bytes.fromhex("80 00000004")
        writer.close()
        await writer.wait_closed()

    run_with_server(work)


@pytest.mark.parametrize("extensions", [False, True])
def test_our_client_talks_to_an_original_as_recorded(extensions: bool) -> None:
    """The server here plays the recorded bytes; with an offer, only REG is another."""
    said, done = list[list[Frame]](), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()
        turns = [raw for who, raw in read_recorded() if who == "S"]
        said.append(await read_frames(reader, frames, 1))
        for raw, expected in zip(turns, [1, 2, 2, 2], strict=True):
            writer.write(raw)
            said.append(await read_frames(reader, frames, expected))
        done.set()
        writer.close()

    async def main() -> None:
        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with SignalClient(Settings(True, Address("127.0.0.1", port), 7, None, extensions)) as signal:
            async with asyncio.timeout(30):
                await signal.wait_shutdown()
                await done.wait()
        listener.close()
        await listener.wait_closed()

    asyncio.run(main())
    check_said(said, extensions)


def check_said(said: list[list[Frame]], extensions: bool) -> None:
    reg, ack, ping, top, shutdown = said
    assert isinstance(reg[0], Normal)
    offer = b',"Offer":["ids","report","log-level","command"]' if extensions else b""
    assert reg == [Normal(1, REG_7[9:-1] + offer + b"}")]
    assert ack == [Ack(1)]
    assert ping == [Ack(2), Normal(2, b"\x81null")]
    assert top[0] == Ack(3)
    assert isinstance(top[1], Normal)
    assert top[1].seq == 3
    assert top[1].body.startswith(b'\x80{"Alloc":')
    assert shutdown == [Ack(4), Normal(4, b'\x82{"Pid":%d}' % os.getpid())]


async def read_frames(reader: asyncio.StreamReader, frames: FrameReader, count: int) -> list[Frame]:
    found = list[Frame]()
    while len(found) < count:
        while (frame := frames.next_frame()) is not None:
            found.append(frame)
        if len(found) < count:
            data = await reader.read(4096)
            assert data, found
            frames.feed(data)
    return found
