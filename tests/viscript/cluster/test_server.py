"""Who may command this board: operators by their address, and nobody by accident."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from ipaddress import ip_address

import msgspec
import pytest

from tests.viscript.cluster.peers import STATUS
from tests.viscript.daemon import free_port
from viscript.api.model import Reply, Request, Result, Status
from viscript.cluster.model import ClusterConfig
from viscript.cluster.server import ClusterServer, make_listener
from viscript.errors import ClusterError
from viscript.signal.model import Address

HERE, OPERATOR, STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
ASK = b'{"id":1,"request":%s}\n'
ASK_STATUS = ASK % b'{"do":"status"}'


async def answer(_request: Request) -> Result:
    return STATUS


@asynccontextmanager
async def serve(*operators: str) -> AsyncIterator[Address]:
    listen = Address(HERE, free_port())
    server = ClusterServer(ClusterConfig("pi-1", listen, frozenset(map(ip_address, operators))), answer)
    await server.start()
    try:
        yield listen
    finally:
        await server.close()


async def ask(listen: Address, source: str, line: bytes = ASK_STATUS) -> Reply:
    """The one answer, after which the server must close when it was a refusal."""
    reader, writer = await asyncio.open_connection(listen.host, listen.port, local_addr=(source, 0))
    try:
        async with asyncio.timeout(20):
            writer.write(line)
            reply = msgspec.json.decode(await reader.readline(), type=Reply)
            if reply.id == 0:
                assert await reader.read() == b""
            return reply
    finally:
        writer.close()


def refusal(reply: Reply) -> str:
    assert reply.error is not None
    return f"{reply.error.code}: {reply.error.text}"


def test_an_operator_is_answered() -> None:
    async def main() -> None:
        async with serve(OPERATOR) as listen:
            reply = await ask(listen, OPERATOR)
            assert msgspec.json.decode(reply.result, type=Status) == STATUS

    asyncio.run(main())


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (STRANGER, f"refused: {STRANGER} may not command board 'pi-1'"),
        (HERE, "refused: programs on board 'pi-1' use its socket file"),
    ],
)
def test_others_hear_why_not(source: str, told: str) -> None:
    async def main() -> None:
        async with serve(OPERATOR, HERE) as listen:
            assert refusal(await ask(listen, source)).startswith(told)
            assert (await ask(listen, OPERATOR)).error is None

    asyncio.run(main())


def test_many_refusals_are_one_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serve(OPERATOR) as listen:
            for _ in range(5):
                await ask(listen, STRANGER)

    with caplog.at_level(logging.WARNING, "viscript.cluster.server"):
        asyncio.run(main())
    refused = [record.getMessage() for record in caplog.records if STRANGER in record.getMessage()]
    assert len(refused) == 1


def test_a_crowd_of_strangers_keeps_no_operator_out() -> None:
    async def main() -> None:
        async with serve(OPERATOR) as listen:
            with ExitStack() as crowd:
                for _ in range(100):
                    stranger = crowd.enter_context(socket.socket())
                    stranger.bind((STRANGER, 0))
                    stranger.connect((listen.host, listen.port))
                assert (await ask(listen, OPERATOR)).error is None

    asyncio.run(main())


@pytest.mark.parametrize("request_", ['{"do":"nodes"}', '{"do":"channels"}', '{"do":"on","nodes":[],"request":{}}'])
def test_a_board_forwards_nothing_for_another(request_: str) -> None:
    async def main() -> None:
        async with serve(OPERATOR) as listen:
            assert refusal(await ask(listen, OPERATOR, ASK % request_.encode())).startswith("not-forwarded")

    asyncio.run(main())


def test_without_an_operator_nobody_is_listened_to() -> None:
    async def main() -> None:
        async with serve() as listen:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(listen.host, listen.port)

    asyncio.run(main())


@pytest.mark.parametrize("host", ["::", "0.0.0.0", "ff02::1", "pi-1.lan", "fe80::1%lo"])
def test_what_is_no_address_of_one_machine_is_not_listened_on(host: str) -> None:
    with pytest.raises(ClusterError, match="will not listen"):
        make_listener(Address(host, 7998))


@pytest.mark.parametrize("host", ["198.51.100.7", "fd53:dead::1"])
def test_the_mesh_may_come_up_later(host: str) -> None:
    with make_listener(Address(host, 7998)) as listener:
        assert listener.getsockname()[:2] == (host, 7998)


def test_a_taken_port_is_told() -> None:
    listen = Address(HERE, free_port())
    with make_listener(listen), pytest.raises(ClusterError, match="cannot listen for boards at"):
        make_listener(listen)
