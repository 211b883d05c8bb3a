"""The server's own socket: questions are answered, and nonsense costs its connection alone."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.vpn.errors import AskError, TalkError
from services.vpn.server import api as module
from services.vpn.server.api import MAX_REQUEST, Api, ask
from services.vpn.server.api_words import Answer, Clients, GetClients, GetStatus, Request, read_answer, read_request

CORPUS = (Path(__file__).parent / "corpus.txt").read_bytes().splitlines()


async def nobody(_: Request) -> Answer:
    return Clients(())


def talk(path: Path, data: bytes) -> bytes:
    """All that comes back until the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(10)
        end.connect(str(path))
        end.sendall(data)
        end.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := end.recv(4096):
            answer += chunk
    return answer


def test_it_stands_its_enemies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 1.0)
    path = tmp_path / "vpn-server.sock"

    async def go() -> None:
        api = Api(path, nobody)
        await api.start()
        try:
            assert await asyncio.to_thread(ask, path, GetClients()) == Clients(())
            told = await asyncio.to_thread(talk, path, b"\n".join([*CORPUS, b""]))
            assert told.count(b'"is":"refused"') == len(CORPUS)
            assert b"a line of more than" in await asyncio.to_thread(talk, path, b"x" * (MAX_REQUEST + 1))
            slow, writer = await asyncio.open_unix_connection(path)
            assert await slow.read() == b""
            writer.close()
            assert await asyncio.to_thread(ask, path, GetStatus()) == Clients(())
        finally:
            await api.close()

    asyncio.run(go())
    with pytest.raises(AskError, match="no server answers at"):
        ask(path, GetStatus())


@given(
    some.one_of(some.binary(max_size=100), some.sampled_from([b'{"do":"status"}', b'{"is":"clients","clients":[]}']))
)
def test_anything_is_read_or_refused(data: bytes) -> None:
    for read, error in ((read_request, TalkError), (read_answer, AskError)):
        try:
            read(data)
        except error:
            continue
