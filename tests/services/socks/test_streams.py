"""Streams through server and client: whole, half-closed, cut off, slow, silent; seen from both ends."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.socks.stage import (
    ALL_LOOPBACK,
    GREETING,
    WITHIN_S,
    Program,
    ask,
    place,
    run_echo,
    run_program,
    server_words,
    take,
    take_all,
    tunnel,
)

RESET = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    with run_echo() as port:
        yield port


def listen() -> socket.socket:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(WITHIN_S)
    return listening


def through(proxy: Program) -> tuple[socket.socket, socket.socket]:
    """Both ends of a stream."""
    with listen() as listening:
        near = tunnel(proxy.port, listening.getsockname())
        far, _ = listening.accept()
    far.settimeout(WITHIN_S)
    return near, far


def send_all(end: socket.socket, data: bytes) -> None:
    end.sendall(data)
    end.shutdown(socket.SHUT_WR)


def test_all_comes_whole_both_ways(proxy: Program, echo: int) -> None:
    data = os.urandom(1 << 20) * 24
    with tunnel(proxy.port, ("127.0.0.1", echo)) as near:
        sending = threading.Thread(target=send_all, args=(near, data))
        sending.start()
        back = take_all(near)
        sending.join()
    assert back == data + hashlib.sha256(data).hexdigest().encode()


def test_half_closed_either_way(proxy: Program) -> None:
    near, far = through(proxy)
    with near, far:
        near.shutdown(socket.SHUT_WR)
        assert far.recv(9) == b""
        far.sendall(b"still here")
        far.shutdown(socket.SHUT_WR)
        assert take_all(near) == b"still here"
    near, far = through(proxy)
    with near, far:
        far.shutdown(socket.SHUT_WR)
        assert near.recv(9) == b""
        near.sendall(b"and here")
        near.close()
        assert take_all(far) == b"and here"


def test_a_reset_is_passed_on(proxy: Program) -> None:
    """So that what is cut off does not look complete."""
    for which in (0, 1):
        ends = through(proxy)
        ends[which].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        ends[which].close()
        with ends[1 - which] as left, pytest.raises(ConnectionResetError):
            left.recv(9)


def test_what_is_said_early_arrives(proxy: Program) -> None:
    with listen() as listening, socket.create_connection(("127.0.0.1", proxy.port), WITHIN_S) as near:
        request = b"\5\1\0" + place(listening.getsockname())
        near.sendall(GREETING + request + b"early" + b"x" * 2000)
        far, _ = listening.accept()
        with far:
            assert take(far, 2005) == b"early" + b"x" * 2000
            assert take(near, 12)[:4] == b"\5\0\5\0"


def test_a_slow_reader_holds_up_its_sender_alone(proxy: Program, echo: int) -> None:
    """What is under way of a stream is bounded, and others go on."""
    before = proxy.rss_bytes()
    near, far = through(proxy)
    with near, far:
        near.setblocking(False)
        sent, until = 0, time.monotonic() + WITHIN_S
        quiet_s = time.monotonic()
        while time.monotonic() < until and time.monotonic() - quiet_s < 0.5:
            try:
                sent += near.send(b"z" * 65_536)
                quiet_s = time.monotonic()
            except BlockingIOError:
                time.sleep(0.02)
        assert sent < 64 << 20
        with tunnel(proxy.port, ("127.0.0.1", echo)) as other:
            other.sendall(b"quick")
            assert take(other, 5) == b"quick"
        assert proxy.rss_bytes() - before < 4 << 20
        near.settimeout(WITHIN_S)
        near.shutdown(socket.SHUT_WR)
        assert len(take_all(far)) == sent


def test_many_at_once(proxy: Program, echo: int) -> None:
    data = os.urandom(300_000)
    digest, wrong = hashlib.sha256(data).hexdigest().encode(), []

    def one() -> None:
        with tunnel(proxy.port, ("127.0.0.1", echo)) as near:
            for start in range(0, len(data), 30_000):
                near.sendall(data[start : start + 30_000])
                wrong.extend([start] * (take(near, 30_000) != data[start : start + 30_000]))
            near.shutdown(socket.SHUT_WR)
            wrong.extend([-1] * (take_all(near) != digest))

    threads = [threading.Thread(target=one) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# replies and deadlines


def test_bind_is_refused(proxy: Program) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), WITHIN_S) as near:
        assert ask(near, 2, ("127.0.0.1", 80))[1] == 7
        assert near.recv(9) == b""


def test_whoever_speaks_something_else_is_left(proxy: Program, echo: int) -> None:
    for said in (b"\4\1\0\x50\1\2\3\4\0", b"\0" * 600, b"\x16\3\1\2\0"):
        with socket.create_connection(("127.0.0.1", proxy.port), WITHIN_S) as near:
            near.sendall(said)
            assert near.recv(99) == b""
    with tunnel(proxy.port, ("127.0.0.1", echo)) as near:
        near.sendall(b"well")
        assert take(near, 4) == b"well"


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A server with little patience and small limits."""
    folder = tmp_path_factory.mktemp("hasty")
    settings = (
        f"{ALL_LOOPBACK}handshake_s: 0.5\nconnect_s: 0.5\nidle_s: 0.6\nhalf_closed_s: 0.4\n"
        "limits: {per_client: 4, per_second: 1000, burst: 1000}\n"
    )
    with run_program(server_words(folder, settings), folder / "log") as found:
        yield found


def test_a_stalled_handshake_ends(hasty: Program) -> None:
    for said in (b"", b"\5", b"\5\1\0", b"\5\1\0\5\1\0"):
        with socket.create_connection(("127.0.0.1", hasty.port), WITHIN_S) as near:
            near.sendall(said)
            assert take_all(near) in {b"", b"\5\0"}
    assert hasty.said.count("no request within") == 1  # once a minute of each cause


def test_a_target_that_does_not_answer(hasty: Program) -> None:
    """Its queue is full, so that the kernel leaves attempts without an answer."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for end in waiting:
            end.setblocking(False)
            end.connect_ex(deaf.getsockname())
        time.sleep(0.1)
        with socket.create_connection(("127.0.0.1", hasty.port), WITHIN_S) as near:
            assert ask(near, 1, deaf.getsockname())[1] == 6
        for end in waiting:
            end.close()


def test_idle_streams_end(hasty: Program) -> None:
    near, far = through(hasty)
    with near, far:
        began = time.monotonic()
        for _ in range(4):
            time.sleep(0.25)
            near.sendall(b"x")
            assert far.recv(1) == b"x"
        with pytest.raises(ConnectionResetError):
            near.recv(1)
        assert time.monotonic() - began > 1.4


def test_half_closed_streams_end_sooner(hasty: Program) -> None:
    near, far = through(hasty)
    with near, far:
        near.shutdown(socket.SHUT_WR)
        assert far.recv(1) == b""
        began = time.monotonic()
        with pytest.raises(ConnectionResetError):
            near.recv(1)
        assert time.monotonic() - began < 0.6


def test_too_many_of_one_client(hasty: Program, echo: int) -> None:
    held = [tunnel(hasty.port, ("127.0.0.1", echo)) for _ in range(4)]
    with socket.create_connection(("127.0.0.1", hasty.port), WITHIN_S) as near:
        assert ask(near, 1, ("127.0.0.1", echo))[1] == 2
    for end in held:
        end.close()
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", hasty.port), WITHIN_S) as near:
            if ask(near, 1, ("127.0.0.1", echo))[1] == 0:
                break
    else:
        raise AssertionError("nobody was counted out")
    assert "too many connections of one client" in hasty.said


def test_only_loopback_without_a_mesh(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="not of this machine's loopback"),
        run_program(server_words(tmp_path, listen="0.0.0.0:0"), tmp_path / "log"),
    ):
        pass
