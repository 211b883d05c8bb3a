"""Who is let in, by which socket, and what other boards may not ask."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from viscript.api.model import Done, Request
from viscript.api.server import ApiServer, Caller

STATUS = b'{"id":1,"request":{"do":"status"}}\n'
FORWARDED = (
    b'{"id":1,"request":{"do":"nodes"}}\n',
    b'{"id":1,"request":{"do":"channels"}}\n',
    b'{"id":1,"request":{"do":"on","nodes":[],"request":{"do":"status"}}}\n',
)


async def answer(_request: Request) -> Done:
    return Done()


@asynccontextmanager
async def serve(server: ApiServer) -> AsyncIterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    await server.start(listener)
    try:
        yield listener.getsockname()
    finally:
        await server.close()


async def ask(address: tuple[str, int], line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(line)
        async with asyncio.timeout(20):
            return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_other_boards_are_answered_but_nothing_is_forwarded_for_them() -> None:
    async def main() -> None:
        async with serve(ApiServer(answer, from_boards=True)) as address:
            assert json.loads(await ask(address, STATUS)) == {"id": 1, "result": {}}
            for line in FORWARDED:
                assert json.loads(await ask(address, line))["error"]["code"] == "not-forwarded"
        async with serve(ApiServer(answer)) as address:
            for line in FORWARDED:
                assert json.loads(await ask(address, line)) == {"id": 1, "result": {}}

    asyncio.run(main())


def test_who_is_not_admitted_is_not_heard(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Caller] = []

    def admit(caller: Caller) -> str:
        seen.append(caller)
        return "" if len(seen) == 1 else "no operator"

    async def main() -> None:
        async with serve(ApiServer(answer, admit=admit)) as address:
            assert b"result" in await ask(address, STATUS)
            assert await ask(address, STATUS) == b""

    asyncio.run(main())
    assert (seen[0].uid, seen[0].address) == (None, "127.0.0.1")
    assert "connection refused: no operator" in caplog.text


def test_on_a_file_the_caller_is_a_user(tmp_path: Path) -> None:
    seen: list[Caller] = []

    def admit(caller: Caller) -> str:
        seen.append(caller)
        return ""

    async def main() -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        server = ApiServer(answer, admit=admit)
        await server.start(listener)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(STATUS)
        async with asyncio.timeout(20):
            assert b"result" in await reader.readline()
        writer.close()
        await server.close()

    asyncio.run(main())
    assert seen == [Caller(os.getuid())]
