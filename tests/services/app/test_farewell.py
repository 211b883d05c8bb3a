"""Who is turned away reads why, also one that spoke first; who reads nothing holds no memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from services.app.farewell import close, turn_away

MUCH = bytes(32 << 20)
Accept = Callable[[asyncio.StreamWriter], None]


def accepted(accept: Accept, test: Callable[[socket.socket, asyncio.StreamWriter], Awaitable[None]]) -> None:
    """Who connects has said something before it is accepted."""

    async def go() -> None:
        came: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

        def on_accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accept(writer)
            came.set_result(writer)

        server = await asyncio.start_server(on_accept, "127.0.0.1", 0)
        async with server, asyncio.timeout(20):
            with socket.create_connection(server.sockets[0].getsockname(), timeout=10) as end:
                end.sendall(b"let me in\n")
                await test(end, await came)

    asyncio.run(go())


def test_the_word_is_read_and_then_the_end() -> None:
    async def test(end: socket.socket, _: asyncio.StreamWriter) -> None:
        assert await asyncio.to_thread(end.recv, 100) == b"full\n"
        assert await asyncio.to_thread(end.recv, 100) == b"", "an end, no reset"

    accepted(lambda writer: turn_away(writer, b"full\n"), test)


def test_who_reads_nothing_holds_nothing() -> None:
    async def test(_: socket.socket, writer: asyncio.StreamWriter) -> None:
        assert writer.transport.get_write_buffer_size() == 0
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        assert writer.get_extra_info("socket").fileno() == -1

    accepted(lambda writer: turn_away(writer, MUCH), test)


def test_what_is_unsent_is_held_for_its_time_alone() -> None:
    def accept(writer: asyncio.StreamWriter) -> None:
        writer.write(MUCH)
        close(writer, 0.2)

    async def test(_: socket.socket, writer: asyncio.StreamWriter) -> None:
        assert writer.transport.get_write_buffer_size() > 0
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        assert writer.transport.get_write_buffer_size() == 0

    accepted(accept, test)
