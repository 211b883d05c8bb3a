"""The port where peers ask: what is malformed, too long or slow costs its own connection, and nobody else's."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from services.manager.errors import BusError, RefusedError, WordsError
from services.manager.peering import line
from services.manager.peering import words as said
from services.manager.server_config import Address
from tests.services.manager.engine.rack import new_address
from tests.services.manager.program.ends import run

ROUTES = ("one", "two")


async def hear(address: str, ask: said.Ask) -> said.Answer:
    match ask:
        case said.Bye("refuse"):
            raise RefusedError("not now", again=True)
        case said.Bye("break"):
            raise ZeroDivisionError
        case said.Bye("hang"):
            await asyncio.Event().wait()
    return said.Heard((address,))


def listening(test: Callable[[Address], Awaitable[None]]) -> None:
    async def go() -> None:
        listener, at = line.Listener(hear), new_address()
        await listener.start((str(at), said.PORT))
        try:
            await test(at)
        finally:
            await listener.stop()

    run(go())


async def say(at: Address, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(str(at), said.PORT)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    except ConnectionError:  # it hung up while we spoke
        return b""
    finally:
        writer.transport.abort()


def test_who_asks_is_the_source_address() -> None:
    async def test(at: Address) -> None:
        source = new_address()
        answer = await line.ask(source, (str(at), said.PORT), said.Drop(ROUTES))
        assert answer == said.Heard((str(source),))

    listening(test)


def test_refusals_and_mistakes_are_answers() -> None:
    async def test(at: Address) -> None:
        place = str(at), said.PORT
        assert await line.ask(None, place, said.Bye("refuse")) == said.Refused("not now", again=True)
        answer = await line.ask(None, place, said.Bye("break"))
        assert isinstance(answer, said.Refused)
        assert "mistake" in answer.why

    listening(test)


@pytest.mark.parametrize(
    "data",
    [b"\n", b"{}\n", b"\xff\xfe\n", b'{"ask":"no"}\n', b"[" * 100_000 + b"\n", b"x" * (said.MAX_LINE + 2) + b"\n"],
)
def test_what_is_no_word_of_ours(data: bytes) -> None:
    async def test(at: Address) -> None:
        assert b'"refused"' in await say(at, data) or len(data) > said.MAX_LINE
        assert b'"heard"' in await say(at, msgspec.json.encode(said.Drop(())) + b"\n"), "others are still answered"

    listening(test)


def test_half_a_line_and_silence(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(line, "SERVE_WITHIN_S", 0.3)

    async def test(at: Address) -> None:
        assert await say(at, b'{"ask"') == b""
        reader, writer = await asyncio.open_connection(str(at), said.PORT)
        assert b"no whole question" in await reader.read(), "a silent one is told, and hung up on"
        writer.transport.abort()
        answer = await line.ask(None, (str(at), said.PORT), said.Bye("hang"))
        assert answer == said.Refused("no whole question, or no answer to it, within 0.3 s", again=True)

    listening(test)
    assert len([message for message in caplog.messages if "no whole question" in message]) == 1


def test_one_address_has_not_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "MAX_OF_ONE", 3)

    async def test(at: Address) -> None:
        greedy = new_address()
        held = [await asyncio.open_connection(str(at), said.PORT, local_addr=(str(greedy), 0)) for _ in range(3)]
        answer = await line.ask(greedy, (str(at), said.PORT), said.Drop(()))
        assert answer == said.Refused("too many questions at once: ask again", again=True)
        assert await line.ask(new_address(), (str(at), said.PORT), said.Drop(()))
        for _, writer in held:
            writer.transport.abort()

    listening(test)


def test_nobody_there_and_no_answer() -> None:
    async def test() -> None:
        with pytest.raises(BusError, match="does not answer"):
            await line.ask(None, (str(new_address()), said.PORT), said.Bye())

        async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 hello\n")
            writer.close()

        at = new_address()
        server = await asyncio.start_server(babble, str(at), said.PORT)
        async with server:
            with pytest.raises(WordsError, match="not understood"):
                await line.ask(None, (str(at), said.PORT), said.Bye())

    run(test())
