"""A program's own socket: known users, so many connections, places kept for the trusted, and an end in order."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.app.line_socket import LineSocket, Room, answer_lines
from services.app.refusals import Refusals
from services.lines import LineReader
from tests.services.node.between import until

ROOM = Room(all=4, others=2, of_one=3)
FULL, NOBODY = b"full\n", 65534
SHOUT = """
import contextlib, os, socket, sys
os.setgid({nobody}); os.setuid({nobody})
ends = [socket.socket(socket.AF_UNIX) for _ in range({count})]
for end in ends:
    end.settimeout(10)
    end.connect(sys.argv[1])
    with contextlib.suppress(BrokenPipeError):  # turned away before the word was out
        end.sendall(b"hello\\n")
    print(end.recv(100).decode(), end="")
"""

Test = Callable[[Path, LineSocket, Refusals], Awaitable[None]]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: int) -> None:
    async def answer(line: bytes) -> bytes:
        return b"%d says %s\n" % (uid, line)

    await answer_lines(reader, writer, LineReader(100, ValueError), answer, idle_s=60)


def run(test: Test) -> None:
    async def go(path: Path) -> None:
        refusals = Refusals(logging.getLogger("line socket"))
        end = LineSocket(path, serve, ROOM, refusals, full=FULL, mode=0o666)
        await end.start()
        try:
            async with asyncio.timeout(30):
                await test(path, end, refusals)
        finally:
            await end.close()

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        asyncio.run(go(Path(folder, "program.sock")))


def hold(path: Path) -> tuple[socket.socket, bytes]:
    """A connection that stays open, and what it was told."""
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(10)
    end.connect(str(path))
    end.sendall(b"hello\n")
    return end, end.recv(100)


def ask(path: Path) -> bytes:
    end, answer = hold(path)
    end.close()
    return answer


def heard(program: str, path: Path) -> list[str]:
    words = [sys.executable, "-c", program, str(path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()


def test_who_asks_is_told_by_the_kernel() -> None:
    async def test(path: Path, _: LineSocket, __: Refusals) -> None:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o666  # noqa: PTH116
        assert await asyncio.to_thread(ask, path) == b"%d says hello\n" % os.geteuid()

    run(test)


def test_one_user_has_so_many_connections() -> None:
    async def test(path: Path, end: LineSocket, refusals: Refusals) -> None:
        held = [(await asyncio.to_thread(hold, path))[0] for _ in range(ROOM.of_one)]
        assert await asyncio.to_thread(ask, path) == FULL
        assert refusals.counts == {"connections": 1}
        for left in held:
            left.close()
        await until(lambda: end.connections < ROOM.of_one)
        assert await asyncio.to_thread(ask, path) != FULL

    run(test)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_crowd_of_others_keeps_root_from_nothing() -> None:
    async def test(path: Path, _: LineSocket, __: Refusals) -> None:
        program = SHOUT.format(nobody=NOBODY, count=ROOM.others + 1)
        told = [*[f"{NOBODY} says hello"] * ROOM.others, "full"]
        assert await asyncio.to_thread(heard, program, path) == told
        assert await asyncio.to_thread(ask, path) == b"0 says hello\n"

    run(test)


def test_the_end_of_the_program_ends_connections_and_leaves_no_file() -> None:
    async def test(path: Path, end: LineSocket, _: Refusals) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        await until(lambda: end.connections == 1)
        await end.close()
        assert path.name not in os.listdir(path.parent)  # noqa: PTH208
        assert await reader.read() == b""
        writer.close()

    run(test)


def test_a_socket_that_another_has_replaced_is_left_to_it() -> None:
    async def test(path: Path, end: LineSocket, refusals: Refusals) -> None:
        successor = LineSocket(path, serve, ROOM, refusals, full=FULL, mode=0o666)
        await successor.start()
        await end.close()
        assert await asyncio.to_thread(ask, path) != FULL
        await successor.close()

    run(test)
