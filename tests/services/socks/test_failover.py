"""Several servers, of which some are dead, deaf or dumb: the client's own part, joined to real sockets in one loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import resource
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.app.choice import Choice, Server
from services.app.refusals import Refusals
from services.keys import NodeId
from services.socks.client.forward import Forward, Way
from services.socks.client.pool import Pool
from services.socks.client.program import make_talk
from services.socks.limits import Limits
from services.socks.room.front import Door, Terms, listen
from services.socks.room.ground import make_ground
from services.socks.room.loop import Room, run
from services.socks.server.config import PIPELINED
from tests.services.socks.stage import Program, ask, run_echo, run_program, server_words, take


@dataclass
class Stage:
    """The client's door before servers that are told by their ports."""

    port: int
    pool: Pool
    forward: Forward
    wanted: asyncio.Event


def run_client(ports: list[int], work: Callable[[Stage], Awaitable[None]], *, are_open: bool = True) -> None:
    async def main(room: Room) -> None:
        ground = make_ground(room, Limits(), 60, 60)
        pool = Pool(Choice(), random.shuffle)
        pool.take([Server(NodeId(f"at-{port}"), "socks", "127.0.0.1", port, (PIPELINED,)) for port in ports])
        for one in pool.known if are_open else ():
            pool.worked(one)
        refusals, wanted = Refusals(logging.getLogger(__name__)), asyncio.Event()
        way = Way(
            *(room, pool, refusals, None, 0.5, 0.5, True),
            keeps=not are_open,
            want=wanted.set,
            trouble=lambda: "nobody is there",
        )
        forward = Forward(way)
        with listen("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            terms = Terms(
                *(room, ground.relay, ground.clients, refusals, 5.0, make_talk),
                is_user=lambda _: True,
                may_enter=lambda _: True,
                serve=forward.serve,
            )
            door = Door(terms, listening)
            try:
                async with asyncio.timeout(30):
                    await work(Stage(port, pool, forward, wanted))
            finally:
                door.close()
                ground.relay.close()

    run(main)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("server")
    with run_program(server_words(folder), folder / "log") as found:
        yield found


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    with run_echo() as port:
        yield port


@contextlib.contextmanager
def run_bad(kind: str) -> Iterator[int]:
    """A server that is `dead` (refuses), `deaf` (never answers), `dumb` (hangs up), `other` (speaks otherwise)."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if kind == "dead":
            listening.close()
            yield port
            return
        held: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    end, _ = listening.accept()
                    held.append(end)
                    if kind == "other":
                        end.sendall(b"SSH-2.0-x\r\n")
                    if kind == "dumb":
                        end.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield port
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for end in held:
                end.close()


def echo_through(port: int, target: int) -> int:
    """The reply; and where it is success, it must carry."""
    with socket.create_connection(("127.0.0.1", port), 20) as near:
        reply = ask(near, 1, ("127.0.0.1", target))[1]
        if reply == 0:
            near.sendall(b"hello")
            assert take(near, 5) == b"hello"
        return reply


@pytest.mark.parametrize("kind", ["dead", "deaf", "dumb", "other"])
def test_the_next_server_is_asked(kind: str, server: Program, echo: int) -> None:
    with run_bad(kind) as bad:

        async def work(stage: Stage) -> None:
            assert await asyncio.to_thread(echo_through, stage.port, echo) == 0
            first, second = stage.pool.known
            assert (first.failures, second.failures) == (1, 0)
            assert stage.wanted.is_set()
            assert await asyncio.to_thread(echo_through, stage.port, echo) == 0
            assert first.failures == 1  # it was not asked again

        run_client([bad, server.port], work)


def test_a_targets_refusal_is_no_fault_of_the_server(server: Program) -> None:
    async def work(stage: Stage) -> None:
        assert await asyncio.to_thread(echo_through, stage.port, 1) == 5
        assert not stage.pool.known[0].failures

    run_client([server.port], work)


def test_no_file_is_lost_where_there_are_no_more(server: Program) -> None:
    """For an association's own sockets; the program is told at once."""

    async def work(stage: Stage) -> None:
        assert await asyncio.to_thread(echo_through, stage.port, 1) == 5
        before = open_files()
        with files_left(3):
            assert await asyncio.to_thread(associate, stage.port) == 1
        assert open_files() == before

    run_client([server.port], work)


def associate(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), 20) as near:
        return ask(near, 3, ("0.0.0.0", 0))[1]


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@contextlib.contextmanager
def files_left(count: int) -> Iterator[None]:
    """Of this process, for a moment: for who connects, who accepts it, and who asks a server."""
    _, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(one.name) for one in Path("/proc/self/fd").iterdir()) + count + 1, hard)
    )
    held: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        for _ in range(count):
            os.close(held.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for file in held:
            os.close(file)


def test_none_is_left() -> None:
    with run_bad("dumb") as dumb, run_bad("dead") as dead:

        async def work(stage: Stage) -> None:
            assert await asyncio.to_thread(echo_through, stage.port, 1) == 1
            assert [one.failures for one in stage.pool.known] == [1, 1]

        run_client([dumb, dead], work)


def test_who_comes_before_a_server_waits(server: Program, echo: int) -> None:
    async def work(stage: Stage) -> None:
        asked = asyncio.ensure_future(asyncio.to_thread(echo_through, stage.port, echo))
        await stage.wanted.wait()
        stage.pool.worked(stage.pool.known[0])
        stage.forward.go_on()
        assert await asked == 0

    run_client([server.port], work, are_open=False)


def test_who_waits_too_long_is_told(tmp_path: Path) -> None:
    async def work(stage: Stage) -> None:
        assert await asyncio.to_thread(echo_through, stage.port, 1) == 1
        assert stage.wanted.is_set()

    run_client([1], work, are_open=False)
