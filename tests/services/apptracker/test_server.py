"""The tracker over TCP: what a client sees, and what bad company does not change."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from services.apptracker.brain import Directory
from services.apptracker.client import ask
from services.apptracker.errors import AwayError, RefusedError
from services.apptracker.model import Deregister, Entries, Leased, Query, Register
from services.apptracker.server import MAX_PER_CLIENT, TrackerServer


def run_tracker(work: Callable[[TrackerServer, str, int], Awaitable[None]]) -> None:
    async def main() -> None:
        numbers = count(1)
        server = TrackerServer(Directory(lambda: f"lease-{next(numbers)}"))
        host, port = await server.start("127.0.0.1", 0)
        try:
            async with asyncio.timeout(30):
                await work(server, host, port)
        finally:
            await server.close()

    asyncio.run(main(), debug=True)


async def exchange(host: str, port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(sent)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def test_one_registers_and_another_asks() -> None:
    async def work(_server: TrackerServer, host: str, port: int) -> None:
        leased = await asyncio.to_thread(ask, host, port, Register("web", "10.0.0.1:80"), Leased)
        found = await asyncio.to_thread(ask, host, port, Query(), Entries)
        assert [(entry.name, entry.endpoint) for entry in found.entries] == [("web", "10.0.0.1:80")]
        await asyncio.to_thread(ask, host, port, Deregister(leased.lease), Leased)
        with pytest.raises(RefusedError, match="no such lease"):
            await asyncio.to_thread(ask, host, port, Deregister(leased.lease), Leased)

    run_tracker(work)


def test_lines_are_answered_in_order() -> None:
    async def work(_server: TrackerServer, host: str, port: int) -> None:
        register = b'{"do":"register","name":"web","endpoint":"a:1"}\n'
        answers = (await exchange(host, port, register * 3 + b'{"do":"query"}\n')).splitlines()
        assert [json.loads(line).get("lease") for line in answers[:3]] == ["lease-1", "lease-2", "lease-3"]
        assert len(json.loads(answers[3])["entries"]) == 3

    run_tracker(work)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", b"not a request"),
        (b'{"do":"register","name":7,"endpoint":"a:1"}\n', b"not a request"),
        (b"x" * 5000, b"a line of more than 4096"),
        (b"[" * 4000 + b"\n", b"not a request"),
    ],
)
def test_a_bad_line_is_answered_and_that_connection_ends(sent: bytes, reason: bytes) -> None:
    async def work(_server: TrackerServer, host: str, port: int) -> None:
        assert reason in await exchange(host, port, sent + b'{"do":"query"}\n')
        assert b"entries" in await exchange(host, port, b'{"do":"query"}\n')

    run_tracker(work)


def test_one_host_has_only_so_many_connections(caplog: pytest.LogCaptureFixture) -> None:
    async def work(_server: TrackerServer, host: str, port: int) -> None:
        held = [await asyncio.open_connection(host, port) for _ in range(MAX_PER_CLIENT)]
        for _ in range(3):
            with pytest.raises(RefusedError, match="too many connections"):
                await asyncio.to_thread(ask, host, port, Query(), Entries)
        assert [message for message in caplog.messages if "refused" in message] == [
            f"connection of {host} refused: there are too many"
        ]
        for _, writer in held:
            writer.close()
            await writer.wait_closed()

    run_tracker(work)


def test_nobody_there_is_told_as_such() -> None:
    with pytest.raises(AwayError, match="no tracker answers at 127"):
        ask("127.0.0.1", 1, Query(), Entries)
