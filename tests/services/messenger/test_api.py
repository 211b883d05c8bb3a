"""The messenger's socket from outside: both clients, files both ways, watchers, who may what, and those who send
nonsense, much, or nothing.
"""

from __future__ import annotations

import asyncio
import io
import os
import stat
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.lines import encode
from services.messenger import api as module
from services.messenger import api_connection
from services.messenger.api import Api
from services.messenger.api_wire import decode_answer
from services.messenger.api_words import (
    MAX_LINE,
    Came,
    Contacts,
    Done,
    Event,
    FetchFile,
    GetContacts,
    GetHistory,
    GetStatus,
    Messages,
    Missed,
    Notes,
    PostNotice,
    Refused,
    Send,
    SendFile,
    Sent,
    TakeNotes,
    Watch,
    Watching,
)
from services.messenger.client import MessengerClient, watch
from services.messenger.errors import ApiError, MessengerAwayError, MessengerRefusedError
from services.messenger.hub import MOST_UNTOLD, Hub
from services.messenger.line import Line
from tests.services.app.bare import answered, raw
from tests.services.messenger.desk import ALICE, ME, Desk
from tests.services.node.between import until


@asynccontextmanager
async def served(folder: Path, **more: Any) -> Any:
    desk = Desk()
    api = Api(folder / "m.sock", desk, **more)
    await api.start()
    try:
        async with asyncio.timeout(60):
            yield desk, api
    finally:
        await api.close()


def run(folder: Path, test: Callable[[Path, Desk, Api], Awaitable[None]], **more: Any) -> None:
    async def go() -> None:
        async with served(folder, **more) as (desk, api):
            await test(folder / "m.sock", desk, api)

    asyncio.run(go())


# clients


def test_questions_and_answers(tmp_path: Path) -> None:
    async def test(path: Path, desk: Desk, _: Api) -> None:
        assert stat.S_IMODE((await asyncio.to_thread(path.stat)).st_mode) == 0o660
        async with MessengerClient(path) as messenger:
            texts = [str(number) for number in range(500)]
            sent = await asyncio.gather(*(messenger.ask(Send("x", text), Sent) for text in texts))
            assert [one.message.text for one in sent] == texts
            assert [one.text for one in desk.messages] == texts
            with pytest.raises(MessengerRefusedError, match="see the messenger's log"):
                await messenger.ask(GetStatus(), Done)
            with pytest.raises(ApiError, match="'Contacts' is no answer"):
                await messenger.ask(GetContacts(), Messages)
            assert len((await messenger.ask(GetHistory(), Messages)).messages) == 500

        def ask() -> None:
            with Line(path) as line:
                assert line.ask(GetContacts(), Contacts) == Contacts(())
                assert len(line.ask(GetHistory(), Messages).messages) == 500

        await asyncio.to_thread(ask)

    run(tmp_path, test)


def test_a_late_answer_is_not_taken_for_the_next(tmp_path: Path) -> None:
    async def test(path: Path, _: Desk, __: Api) -> None:
        async with MessengerClient(path) as messenger:
            with pytest.raises(MessengerAwayError, match="in time"):
                await messenger.ask(TakeNotes("t", wait_s=0.5), Notes, within_s=-0.3)
            assert await messenger.ask(GetContacts(), Contacts) == Contacts(())

    run(tmp_path, test)


def test_the_end_is_told_to_all_who_wait(tmp_path: Path) -> None:
    async def test(path: Path, _: Desk, api: Api) -> None:
        async with MessengerClient(path) as messenger:
            asked = [asyncio.create_task(messenger.ask(TakeNotes("x", wait_s=60), Done)) for _ in range(3)]
            await until(lambda: _.answered == 3)
            await api.close()
            for error in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(error, MessengerAwayError)

    run(tmp_path, test)
    assert not (tmp_path / "m.sock").exists()


# files


@pytest.mark.parametrize("size", [0, 1, 1_000_003])
def test_a_file_there_and_back(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)

    async def test(path: Path, desk: Desk, _: Api) -> None:
        def ask() -> None:
            passed = list[int]()
            with Line(path) as line:
                assert line.send_file(SendFile("x", "f", size), io.BytesIO(data), passed.append).message.file
                assert line.ask(GetContacts(), Contacts) == Contacts(())
                target = io.BytesIO()
                assert line.fetch_file(FetchFile("f"), lambda _: target).size == size
                assert target.getvalue() == data
                assert line.ask(GetContacts(), Contacts) == Contacts(())
            assert passed[-1:] == ([size] if size else [])

        await asyncio.to_thread(ask)
        assert desk.files["f"][1] == data

    run(tmp_path, test)


def test_a_file_that_is_refused(tmp_path: Path) -> None:
    async def test(path: Path, desk: Desk, _: Api) -> None:
        def ask() -> None:
            with Line(path) as line:
                with pytest.raises(MessengerRefusedError, match="nobody wants"):
                    line.send_file(SendFile("x", "no", 10_000_000), io.BytesIO(bytes(10_000_000)))
                assert line.ask(GetContacts(), Contacts) == Contacts(())
                with pytest.raises(MessengerRefusedError, match="no file 'g'"):
                    line.fetch_file(FetchFile("g"), lambda _: io.BytesIO())
                with pytest.raises(MessengerRefusedError, match="disk is full"):
                    line.send_file(SendFile("x", "full", 50_000_000), io.BytesIO(bytes(50_000_000)))
            with Line(path) as line, pytest.raises(MessengerAwayError, match="3 bytes are missing"):
                line.send_file(SendFile("x", "short", 10), io.BytesIO(bytes(7)))

        await asyncio.to_thread(ask)
        assert not desk.messages
        assert desk.taken <= 200_000

    run(tmp_path, test)


def test_who_falls_silent_within_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_connection, "CHUNK_WITHIN_S", 0.2)

    async def test(path: Path, desk: Desk, _: Api) -> None:
        def ask() -> bytes:
            with raw(path) as end:
                end.sendall(encode(SendFile("x", "f", 10)))
                said: bytes = end.recv(1000)
                end.sendall(b"abc")
                assert end.recv(1000) == b""
                return said

        assert await asyncio.to_thread(ask) == b'{"is":"ready"}\n'
        assert not desk.messages

    run(tmp_path, test)


# watchers


def test_watchers_are_told_what_was_and_what_comes(tmp_path: Path) -> None:
    async def test(path: Path, desk: Desk, _: Api) -> None:
        for text in "abc":
            desk.write_down(text)
        events = watch(Watch(since=1), path)
        assert await anext(events) == Watching(3, ALICE)
        told = [await anext(events) for _ in "bc"]
        desk.write_down("d")
        told.append(await anext(events))
        assert [event.message.text for event in told if isinstance(event, Came)] == ["b", "c", "d"]
        await events.aclose()
        await until(lambda: not desk.watching)
        assert not len(desk.hub)

        def follow() -> list[str]:
            with Line(path) as line:
                found = line.watch(Watch())
                assert next(found) == Watching(4, ALICE)
                loop.call_soon_threadsafe(desk.write_down, "e")
                loop.call_soon_threadsafe(line.close)
                texts = []
                with pytest.raises(MessengerAwayError):
                    texts += [event.message.text for event in found if isinstance(event, Came)]
                return texts

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(follow)
        await until(lambda: not desk.watching)

    run(tmp_path, test)


def test_a_watcher_too_slow_holds_up_nobody() -> None:
    async def go() -> list[Event]:
        hub, desk = Hub(), Desk()
        async with hub.follow() as slow:
            for _ in range(MOST_UNTOLD + 5):
                hub.tell(Came(desk.write_down("x")))
            return [event async for event in slow]

    assert asyncio.run(go()) == [Missed()]


# who may what


def test_notes_of_a_topic_are_for_its_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_trusted", lambda _: False)

    async def test(path: Path, _: Desk, __: Api) -> None:
        async with MessengerClient(path) as messenger:
            assert await messenger.ask(TakeNotes("ours"), Notes) == Notes(())
            for request in (TakeNotes("theirs"), PostNotice(ME, "theirs", "hello")):
                with pytest.raises(MessengerRefusedError, match=r"'theirs' is not this user's \(messenger.yaml"):
                    await messenger.ask(request, Done)
            with pytest.raises(MessengerRefusedError, match="wait_s is 0 to 60"):
                await messenger.ask(TakeNotes("ours", wait_s=1e9), Notes)

    run(tmp_path, test, topics={"ours": frozenset({os.geteuid()}), "theirs": frozenset({65534})})


# nonsense and much


def test_nonsense_costs_its_own_connection_alone(tmp_path: Path) -> None:
    corpus: list[tuple[bytes, bytes]] = [
        (b"hello\n", b"not a request"),
        (b"\n", b"not a request"),
        (b"\xff\xfe\n", b"not a request"),
        (b'{"do":"launch"}\n', b"Invalid value 'launch'"),
        (b'{"do":"status","more":1}\n', b"unknown field"),
        (b'{"do":"send","whom":"a"}\n', b"missing required field `text`"),
        (b'{"do":"history","since":1e99}\n', b"not a request"),
        (b'{"do":"send_file","whom":"a","name":"f","size":3}\nabc', b"more was said before"),
        (b'{"do":"watch"}\n{"do":"contacts"}\n', b"more was said before"),
        (b"x" * (MAX_LINE + 2), b"more than"),
        (b"[" * 100_000 + b"\n", b"not a request"),
    ]

    async def test(path: Path, desk: Desk, api: Api) -> None:
        async with MessengerClient(path) as messenger:
            for data, told in corpus:
                answer = await asyncio.to_thread(answered, path, data)
                assert told in answer, data[:80]
                assert b'"asked_wrongly":true' in answer
                assert await messenger.ask(GetContacts(), Contacts) == Contacts(())
        assert desk.answered == len(corpus)
        assert api.refusals.counts == {"line": len(corpus)}

    run(tmp_path, test)


def test_half_a_line_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_connection, "HALF_LINE_S", 0.2)

    async def test(path: Path, _: Desk, __: Api) -> None:
        def ask() -> bytes:
            with raw(path) as end:
                end.sendall(b'{"do":')
                found: bytes = end.recv(100)
                return found

        assert await asyncio.to_thread(ask) == b""

    run(tmp_path, test)


def test_a_refusal_says_whether_to_ask_again() -> None:
    with pytest.raises(MessengerRefusedError) as caught:
        decode_answer(encode(Refused("no", asked_wrongly=True)))
    assert caught.value.asked_wrongly
