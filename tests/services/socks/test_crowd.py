"""Five thousand connections at once, by a user without privileges: files, pipes and memory stay bounded."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.socks.stage import (
    ALL_LOOPBACK,
    AS_NOBODY,
    GREETING,
    MANY,
    WITHIN_S,
    place,
    run_crowd,
    run_program,
    server_words,
    take,
    tunnel,
)

COUNT, AT_ONCE = 5000, 250
SLOW = 150
MOST_PIPES = 40
"""The pool keeps some that were in use for a moment; without its care one of each slow reader would be held."""

FILES = 20_000

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else"),
    pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < FILES, reason=f"needs {FILES} files"),
]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """That anybody may look into, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="skywire-socks-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def open_some(port: int, target: tuple[str, int], count: int) -> list[socket.socket]:
    """At once, so that it takes a few round trips for all."""
    ends = [socket.create_connection(("127.0.0.1", port), WITHIN_S) for _ in range(count)]
    said = GREETING + b"\5\1\0" + place(target)
    for end in ends:
        end.sendall(said)
    for end in ends:
        assert take(end, 12)[:4] == b"\5\0\5\0"
    return ends


def echo_all(ends: list[socket.socket]) -> None:
    for start in range(0, len(ends), AT_ONCE):
        some = ends[start : start + AT_ONCE]
        for number, end in enumerate(some):
            end.sendall(b"%08d" % number)
        for number, end in enumerate(some):
            assert take(end, 8) == b"%08d" % number


def flood(listening: socket.socket, count: int) -> None:
    """Says to each more than it will read."""
    ends = []
    for _ in range(count):
        end, _ = listening.accept()
        end.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                end.send(bytes(65_536))
        ends.append(end)
    listening.accept()[0].close()
    for end in ends:
        end.close()


def test_five_thousand(tmp_path: Path, open_folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    words = ["-c", AS_NOBODY, *server_words(open_folder, ALL_LOOPBACK + MANY)[2:]]
    try:
        with run_crowd() as target, run_program(words, tmp_path / "log") as server:
            assert f"Uid:\t{65534}" in Path(f"/proc/{server.pid}/status").read_text()
            ends = []
            for _ in range(COUNT // AT_ONCE):
                ends += open_some(server.port, ("127.0.0.1", target), AT_ONCE)
            echo_all(ends)
            assert server.files() < 2 * COUNT + 200
            one = ends.pop()
            began = time.monotonic()
            echo_all([one])
            assert time.monotonic() - began < 1
            with socket.create_connection(("127.0.0.1", server.port), WITHIN_S) as over:
                ends.append(one)
                assert over.recv(9) == b""  # one more than there may be
            assert server.rss_bytes() < 120 << 20
            for end in ends:
                end.close()
            until = time.monotonic() + WITHIN_S
            while server.files() > 200 and time.monotonic() < until:
                time.sleep(0.05)
            assert server.files() <= 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def count_pipes(pid: int) -> int:
    """Their ends."""
    found = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += "pipe:" in str(file.readlink())
    return found


def test_slow_readers_hold_no_pipes(tmp_path: Path, open_folder: Path) -> None:
    """Each has more waiting for it than it reads, and yet a new stream is as quick as ever."""
    words = ["-c", AS_NOBODY, *server_words(open_folder, ALL_LOOPBACK + MANY)[2:]]
    with (
        run_crowd() as target,
        run_program(words, tmp_path / "log") as server,
        socket.create_server(("127.0.0.1", 0), backlog=SLOW) as listening,
    ):
        flooding = threading.Thread(target=flood, args=(listening, SLOW))
        flooding.start()
        slow = []
        for _ in range(SLOW):
            end = socket.socket()
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            end.settimeout(WITHIN_S)
            end.connect(("127.0.0.1", server.port))
            end.sendall(GREETING + b"\5\1\0" + place(listening.getsockname()))
            slow.append(end)
        with tunnel(server.port, ("127.0.0.1", target)) as quick:
            began = time.monotonic()
            echo_all([quick] * 20)
            assert time.monotonic() - began < 2
        pipes = count_pipes(server.pid)
        assert pipes <= 2 * MOST_PIPES
        socket.create_connection(listening.getsockname()).close()
        flooding.join()
        for end in slow:
            end.close()
