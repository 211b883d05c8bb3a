"""Company that costs time or room instead of breaking rules: silence, dripping, deafness, floods, crowds."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.viscript.signal.ends import ACK_1, REG_7, REG_ANSWER, expect_closed, run_with_server
from viscript.signal import SignalClient, SignalServer
from viscript.signal.errors import UnansweredError
from viscript.signal.line import Patience
from viscript.signal.model import ALL_EXTENSIONS, Address, Role
from viscript.signal.server import MAX_STRANGERS
from viscript.signal.session import Session
from viscript.signal.settings import Settings


def run_impatient(work: Callable[[SignalServer, Address], Awaitable[None]], patience: Patience) -> None:
    async def main() -> None:
        server = SignalServer(patience=patience)
        address = await server.start("127.0.0.1", 0)
        async with asyncio.timeout(60):
            await work(server, address)
        await server.close()

    asyncio.run(main(), debug=True)


@pytest.mark.parametrize(
    ("sent", "registered", "reason"),
    [
        (b"", False, "closed: silence"),
        (b"", True, "closed: silence"),
        (REG_7[:5], False, "closed: half a frame, then silence"),
        (REG_7[:-1], True, "closed: half a frame, then silence"),
    ],
)
def test_silence_ends(sent: bytes, registered: bool, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    async def work(server: SignalServer, address: Address) -> None:
        await expect_closed(address, sent, registered=registered)
        assert reason in caplog.text
        assert server.connected() == frozenset()

    run_impatient(work, Patience(20 if registered else 0.3, 0.3, 0.2, 5))


def test_a_dripping_frame_does_not_buy_time(caplog: pytest.LogCaptureFixture) -> None:
    async def work(_: SignalServer, address: Address) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        ended = asyncio.ensure_future(reader.read())
        with contextlib.suppress(OSError):
            for byte in bytes.fromhex("01 00000001 00002000") + bytes(8192):
                writer.write(bytes((byte,)))
                await asyncio.wait({ended}, timeout=0.05)
                if ended.done():
                    break
        assert "half a frame, then silence" in caplog.text
        writer.close()
        await asyncio.gather(ended, return_exceptions=True)

    run_impatient(work, Patience(30, 30, 0.5, 5))


def test_frames_that_always_end_in_the_next_read_are_no_drip() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(REG_7)
        await reader.readexactly(len(REG_ANSWER))
        pong = bytes.fromhex("82 0000000000000000")
        writer.write(ACK_1 + pong[:4])
        for _ in range(30):
            # Time must pass here: it is what the deadline is held against.
            await asyncio.sleep(0.1)
            writer.write(pong[4:] + pong[:4])
        assert server.connected() == {7}
        writer.close()

    run_impatient(work, Patience(half_frame_s=1))


def test_a_program_that_reads_nothing_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "signal"

    async def work(server: SignalServer, address: Address) -> None:
        await server.start_unix(path)
        # The smallest reader that asyncio allows: it stops to read from the socket at once.
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1)
        session = Session(Role.CLIENT)
        session.register(7, ALL_EXTENSIONS)
        writer.write(session.take_output())
        await server.wait_connected(7, 20)
        async with SignalClient(Settings(True, address, 2)):
            await server.wait_connected(2, 20)
            asked = [server.command(7, "x", ("y" * 10_000,), 30) for _ in range(64)]
            for answer in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(answer, UnansweredError)
            assert await server.ping(2) < 20
        assert "the peer reads nothing" in caplog.text
        writer.close()
        assert not reader.at_eof()

    run_impatient(work, Patience(write_s=0.3))


def test_silent_strangers_do_not_keep_a_program_out(caplog: pytest.LogCaptureFixture) -> None:
    async def work(server: SignalServer, address: Address) -> None:
        ends = [await asyncio.open_connection(address.host, address.port) for _ in range(MAX_STRANGERS + 20)]
        async with SignalClient(Settings(True, address, 7)):
            await server.wait_connected(7, 20)
            assert await server.ping(7) < 20
        assert caplog.text.count("pushed out by newer connections") == 21
        for _, writer in ends:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in ends), return_exceptions=True)

    run_with_server(work)


def test_a_crowd_that_comes_at_once_comes_in() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for client_id in range(200):
                await stack.enter_async_context(SignalClient(Settings(True, address, client_id)))
            for client_id in range(200):
                await server.wait_connected(client_id, 30)
            await asyncio.gather(*(server.ping(client_id, 30) for client_id in range(200)))

    run_with_server(work)


def test_a_program_does_not_notice_a_hundred_that_talk_nonsense() -> None:
    chance = random.Random(7)
    parts = [REG_7, REG_ANSWER, ACK_1, bytes.fromhex("81 0000000000000000"), b"\x01", b"\xff", b"null", bytes(5)]

    async def work(server: SignalServer, address: Address) -> None:
        async with SignalClient(Settings(True, address, 2)):
            await server.wait_connected(2, 20)
            talks = [b"".join(chance.choices(parts, k=12)) + b"\xff" for _ in range(100)]
            talking = asyncio.gather(*(expect_closed(address, talk) for talk in talks))
            while not talking.done():
                assert await server.ping(2, 20) < 20
                await asyncio.wait({talking}, timeout=0.01)
            await talking
            assert server.connected() == {2}

    run_with_server(work)
