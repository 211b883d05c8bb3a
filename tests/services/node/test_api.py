"""The node's socket from outside: clients of both kinds, users who may less, and those who send nonsense or much."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.keys import Identity, new_seed
from services.lines import encode
from services.node import api as module
from services.node.access import Access
from services.node.api import BURST, PER_S, Api
from services.node.api_wire import LineReader, read_answer
from services.node.api_words import (
    MAX_LINE,
    Answer,
    Connect,
    Done,
    GetPets,
    GetServices,
    GetStatus,
    Held,
    Member,
    Pets,
    Publish,
    Published,
    Refused,
    Request,
    Services,
    ServiceState,
    Unmember,
)
from services.node.client import NodeClient
from services.node.config import Config
from services.node.errors import ApiError, NodeAwayError, NodeError, NodeRefusedError, ServiceError
from services.node.line import Line
from tests.services.app.bare import answered, raw
from tests.services.node.between import until

ME = Identity(new_seed()).node_id
NOBODY = 65534


class Desk:
    """Remembers what is published, and refuses what it does not know."""

    told_errors = (NodeError,)

    def __init__(self) -> None:
        self.published: dict[str, int] = {}
        self.answered = 0

    async def answer(self, request: Request) -> Answer:
        self.answered += 1
        match request:
            case Publish(name=name, port=port):
                if name in self.published:
                    raise ServiceError(f"service '{name}' is published already")
                self.published[name] = port
                return Published("fd53::1", port)
            case GetServices():
                return Services(tuple(ServiceState(ME, name, "", port) for name, port in self.published.items()))
            case GetPets():
                return Pets(())
            case Member() | Unmember():
                return Done()
            case GetStatus():
                await asyncio.sleep(3600)
        raise ZeroDivisionError

    async def let_go(self, held: Held) -> None:
        assert isinstance(held, Publish)
        del self.published[held.name]


@asynccontextmanager
async def served(folder: Path) -> Any:
    desk = Desk()
    api = Api(folder / "node.sock", desk, Access(Config()).refusal)
    await api.start()
    try:
        async with asyncio.timeout(60):
            yield desk, api
    finally:
        await api.close()


def run(folder: Path, test: Callable[[Path, Desk, Api], Awaitable[None]]) -> None:
    async def go() -> None:
        async with served(folder) as (desk, api):
            await test(folder / "node.sock", desk, api)

    asyncio.run(go())


# clients


def test_a_question_and_its_answer(tmp_path: Path) -> None:
    async def test(path: Path, desk: Desk, _: Api) -> None:
        assert stat.S_IMODE((await asyncio.to_thread(path.stat)).st_mode) == 0o666
        async with NodeClient(path) as node:
            assert (await node.ask(Publish("web", 80), Published)).port == 80
            with pytest.raises(NodeRefusedError, match="published already"):
                await node.ask(Publish("web", 80), Published)
            both = await asyncio.gather(node.ask(GetServices(), Services), node.ask(GetPets(), Pets))
            assert [one.name for one in both[0].services] == ["web"]
            with pytest.raises(ApiError, match="'Pets' is no answer"):
                await node.ask(GetPets(), Services)
        await until(lambda: not desk.published)

    run(tmp_path, test)


def test_a_blocking_client(tmp_path: Path) -> None:
    async def test(path: Path, desk: Desk, _: Api) -> None:
        def ask() -> None:
            with Line(path) as line:
                assert line.ask(Publish("web", 80), Published).port == 80
                assert desk.published == {"web": 80}

        await asyncio.to_thread(ask)
        await until(lambda: not desk.published)

    run(tmp_path, test)


def test_a_client_that_gave_up_does_not_take_a_late_answer(tmp_path: Path) -> None:
    async def test(path: Path, _: Desk, __: Api) -> None:
        async with NodeClient(path) as node:
            with pytest.raises(NodeAwayError, match="not answer in time"):
                await node.ask(GetStatus(), Done, within_s=0.1)
            with pytest.raises(NodeAwayError, match="no connection"):
                await node.ask(GetPets(), Pets)

    run(tmp_path, test)


def test_who_holds_something_hears_of_the_end(tmp_path: Path) -> None:
    async def go() -> None:
        async with served(tmp_path) as (_, api):
            node = NodeClient(tmp_path / "node.sock")
            await node.start()
            await node.ask(Publish("web", 80), Published)
            gone = asyncio.create_task(node.wait_gone())
            await asyncio.sleep(0)
            await api.close()
            await gone
            await node.close()

    asyncio.run(go())
    assert not (tmp_path / "node.sock").exists()


# who may what

AS_NOBODY = """import os, sys
sys.path[:0] = [{root!r}]
from pathlib import Path
from services.node.line import ask_once
from services.node.api_words import Carried, Carry, Done, GetPets, GetSeen, Member, Outside, Pets, Seen, Unmember, Vouch
from services.node.errors import NodeRefusedError
os.setgid(65534); os.setuid(65534)
for request, kind in ((GetPets(), Pets), (Member("x", ()), Done), (Unmember("x"), Done), (GetSeen(), Seen),
                      (Outside(("tcp/7997",)), Done)):
    try:
        print(type(ask_once(request, kind, Path({path!r}))).__name__)
    except NodeRefusedError as error:
        print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's identity: run as root")
def test_only_the_nodes_user_lets_others_in(tmp_path: Path) -> None:
    async def test(path: Path, desk: Desk, _: Api) -> None:
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o055)
        program = AS_NOBODY.format(root=str(Path.cwd()), path=str(path))
        words = [sys.executable, "-c", program]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, timeout=30, check=False)
        told = "only root and the node's own user may ask that"
        assert done.stdout.splitlines() == ["Pets", told, told, told, told], done.stderr
        assert desk.answered == 1
        async with NodeClient(path) as node:
            await node.ask(Member("x", ()), Done)

    run(tmp_path, test)


# nonsense


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 20))
def test_lines_come_whole_however_they_are_cut(parts: list[bytes], size: int) -> None:
    data = b"\n".join(parts)
    reader, found = LineReader(), list[bytes]()
    for start in range(0, len(data), size):
        found += reader.feed(data[start : start + size])
    assert found == data.split(b"\n")[:-1]


@pytest.mark.parametrize("line", [b"x" * (MAX_LINE + 1), b"x" * MAX_LINE * 2 + b"\n"])
def test_a_line_too_long_is_refused(line: bytes) -> None:
    with pytest.raises(ApiError, match="more than"):
        LineReader().feed(line)


def test_an_answer_that_is_none() -> None:
    for line in (b"", b"{}", b'{"is":"strange"}'):
        with pytest.raises(ApiError, match="not an answer"):
            read_answer(line, Done)
    with pytest.raises(NodeRefusedError) as caught:
        read_answer(encode(Refused("no", asked_wrongly=True)), Done)
    assert caught.value.asked_wrongly


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"hello\n", b"not a request"),
        (b'{"do":"launch"}\n', b"Invalid value 'launch'"),
        (b'{"do":"status","more":1}\n', b"unknown field"),
        (b'{"do":"connect","whom":"a","service":"b","policy":{"hops_at_least":0}}\n', b"hops_at_least '0' is not"),
        (b"x" * (MAX_LINE + 2), b"more than"),
        (b"[" * 60_000 + b"\n", b"not a request"),
    ],
)
def test_nonsense_is_told_and_the_connection_closed(tmp_path: Path, data: bytes, told: bytes) -> None:
    async def test(path: Path, desk: Desk, _: Api) -> None:
        answer = await asyncio.to_thread(answered, path, data)
        assert told in answer
        assert b'"asked_wrongly":true' in answer
        assert desk.answered == 0

    run(tmp_path, test)


def test_a_fault_of_ours_is_an_answer_too(tmp_path: Path) -> None:
    async def test(path: Path, _: Desk, __: Api) -> None:
        async with NodeClient(path) as node:
            with pytest.raises(NodeRefusedError, match="see the node's log"):
                await node.ask(Connect("x", "y"), Done)
            await node.ask(GetPets(), Pets)

    run(tmp_path, test)


# much


def test_a_flood_of_questions_is_slowed_and_starves_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_trusted", lambda _: False)

    async def test(path: Path, desk: Desk, _: Api) -> None:
        with raw(path) as end:
            end.setblocking(False)
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            flood = asyncio.create_task(loop.sock_sendall(end, encode(GetPets()) * 3000))
            await until(lambda: desk.answered > BURST)
            async with NodeClient(path) as node:
                await node.ask(GetServices(), Services, within_s=5)
            await asyncio.sleep(0.5)
            assert desk.answered <= BURST + PER_S * (loop.time() - began_s) + 2
            flood.cancel()

    run(tmp_path, test)


def test_who_is_trusted_is_not_slowed(tmp_path: Path) -> None:
    async def test(path: Path, desk: Desk, _: Api) -> None:
        async with asyncio.timeout(BURST / PER_S), NodeClient(path) as node:
            for number in range(1, 3 * BURST):
                await node.ask(GetPets(), Pets)
                assert desk.answered == number

    run(tmp_path, test)


def test_who_reads_no_answers_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_WITHIN_S", 0.2)

    async def test(path: Path, desk: Desk, api: Api) -> None:
        desk.published = {f"service-{number}": number for number in range(20_000)}
        with raw(path) as end:
            end.sendall(encode(GetServices()) * 20)
            await until(lambda: api._socket.connections == 1)
            await until(lambda: not api._socket.connections)

    run(tmp_path, test)


def test_half_a_line_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HALF_LINE_S", 0.1)

    async def test(path: Path, desk: Desk, _: Api) -> None:
        with raw(path) as end:
            end.sendall(b'{"do":')
            assert await asyncio.to_thread(end.recv, 1) == b""
        async with NodeClient(path) as node:
            await node.ask(GetPets(), Pets)
        assert desk.answered == 1

    run(tmp_path, test)


def test_who_is_silent_is_left_but_not_who_publishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.2)

    async def test(path: Path, desk: Desk, _: Api) -> None:
        with raw(path) as silent, raw(path) as publisher:
            publisher.sendall(encode(Publish("web", 80)))
            assert b"published" in await asyncio.to_thread(publisher.recv, 1000)
            assert await asyncio.to_thread(silent.recv, 1) == b""
            await asyncio.sleep(0.3)
            assert desk.published == {"web": 80}

    run(tmp_path, test)
