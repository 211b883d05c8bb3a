"""Many connections that ask nothing: they go by themselves, and the supervisor gets in meanwhile."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from viscript.api.model import PingTime, Request
from viscript.api.server import MAX_CONNECTIONS, ApiServer

CALL = b'{"id":1,"request":{"do":"ping","app_id":2}}\n'
NOBODY = 65534


async def answer_slowly(_request: Request) -> PingTime:
    await asyncio.sleep(0.5)
    return PingTime(0.5)


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(MAX_CONNECTIONS)
    return listener


@asynccontextmanager
async def serve(path: Path, idle_deadline_s: float = 60) -> AsyncIterator[None]:
    server = ApiServer(answer_slowly, idle_deadline_s)
    await server.start(listen(path))
    try:
        yield
    finally:
        await server.close()


@contextmanager
def as_nobody() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


async def ask(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(CALL)
        async with asyncio.timeout(10):
            return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_who_asks_nothing_is_let_go_and_who_waits_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        async with serve(tmp_path / "s", idle_deadline_s=0.1):
            idle, writer = await asyncio.open_unix_connection(tmp_path / "s")
            async with asyncio.timeout(10):
                assert await idle.read() == b""
            writer.close()
            assert await ask(tmp_path / "s") == b'{"id":1,"result":{"seconds":0.5}}\n'

    asyncio.run(main())


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to be two users")
def test_root_is_admitted_where_others_are_turned_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # nobody may not walk here from the top
    tmp_path.chmod(0o755)
    path = Path("s")

    async def main() -> None:
        async with serve(path):
            with ExitStack() as crowd:
                with as_nobody():
                    for _ in range(MAX_CONNECTIONS):
                        crowd.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
                    await asyncio.sleep(0.2)
                    assert await ask(path) == b""
                assert b"result" in await ask(path)

    asyncio.run(main())
