"""UDP ASSOCIATE as a small client of RFC 1928 uses it: of the server, and through the client before it."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.services.socks.stage import WITHIN_S, Program, ask, place, run_udp_echo

NOWHERE = ("0.0.0.0", 0)


class Udp:
    """One association: `say` and `hear` datagrams with their heads."""

    def __init__(self, port: int, *, says_port: bool = False) -> None:
        self.control = socket.create_connection(("127.0.0.1", port), WITHIN_S)
        self.end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.end.bind(("127.0.0.1", 0))
        self.end.settimeout(WITHIN_S)
        reply = ask(self.control, 3, self.end.getsockname() if says_port else NOWHERE)
        assert reply[:4] == b"\5\0\0\1", reply
        self.relay = (socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:], "big"))

    def say(self, target: tuple[str, int], payload: bytes, *, name: bool = False, fragment: int = 0) -> None:
        self.end.sendto(bytes((0, 0, fragment)) + place(target, name=name) + payload, self.relay)

    def hear(self) -> tuple[bytes, bytes]:
        """The head's place as it is written, and the payload."""
        data, sender = self.end.recvfrom(65_535)
        assert sender == self.relay
        assert data[:3] == b"\0\0\0"
        length = 7 if data[3] == 1 else 19
        return data[3 : 3 + length], data[3 + length :]

    def is_silent(self) -> bool:
        """Whether nothing is there, once something said later has come back."""
        self.end.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            return not self.end.recv(65_535)
        return True

    def close(self) -> None:
        self.control.close()
        self.end.close()


@pytest.fixture(scope="module")
def echo() -> Iterator[tuple[str, int]]:
    with run_udp_echo() as port:
        yield "127.0.0.1", port


@pytest.mark.parametrize("says_port", [True, False])
def test_there_and_back(proxy: Program, echo: tuple[str, int], says_port: bool) -> None:
    with contextlib.closing(Udp(proxy.port, says_port=says_port)) as udp:
        for size in (0, 1, 1200, 9000):
            udp.say(echo, b"x" * size or b"-")
            assert udp.hear() == (place(echo), b"x" * size or b"-")


def test_ipv6_and_names(proxy: Program, echo: tuple[str, int]) -> None:
    with run_udp_echo("::1") as port6, contextlib.closing(Udp(proxy.port)) as udp:
        udp.say(("::1", port6), b"six")
        assert udp.hear() == (place(("::1", port6)), b"six")
        udp.say(("127.0.0.1", echo[1]), b"by name", name=True)
        assert udp.hear() == (place(echo), b"by name")


def test_fragments_and_nonsense_are_dropped(proxy: Program, echo: tuple[str, int]) -> None:
    with contextlib.closing(Udp(proxy.port)) as udp:
        udp.say(echo, b"first")
        assert udp.hear()[1] == b"first"
        udp.say(echo, b"fragment", fragment=1)
        udp.say(("10.1.2.3", 53), b"private")
        for nonsense in (b"", b"\0\0", b"\0\0\0\7abcdef", b"\0\0\0\3\xffabc"):
            udp.end.sendto(nonsense, udp.relay)
        udp.say(echo, b"last")
        assert udp.hear()[1] == b"last"
        assert udp.is_silent()


def test_nobody_else_may_use_it(proxy: Program, echo: tuple[str, int]) -> None:
    with contextlib.closing(Udp(proxy.port)) as udp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        udp.say(echo, b"mine")
        assert udp.hear()[1] == b"mine"
        other.bind(("127.0.0.1", 0))
        other.sendto(b"\0\0\0" + place(echo) + b"theirs", udp.relay)
        udp.say(echo, b"again")
        assert udp.hear()[1] == b"again"
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(9)


def test_two_at_once_keep_apart(proxy: Program, echo: tuple[str, int]) -> None:
    one, two = Udp(proxy.port, says_port=True), Udp(proxy.port, says_port=True)
    with contextlib.closing(one), contextlib.closing(two):
        for number in range(50):
            one.say(echo, b"one%d" % number)
            two.say(echo, b"two%d" % number)
            assert (one.hear()[1], two.hear()[1]) == (b"one%d" % number, b"two%d" % number)


def test_it_ends_with_its_connection(pair: tuple[Program, Program], echo: tuple[str, int]) -> None:
    server, client = pair
    wait_idle(server, client)
    udp = Udp(client.port)
    udp.say(echo, b"x")
    assert udp.hear()[1] == b"x"
    assert server.files() > server.idle_files
    assert client.files() > client.idle_files
    udp.close()
    wait_idle(server, client)


def wait_idle(*programs: Program) -> None:
    """Until nothing is left of those that were served."""
    until = time.monotonic() + WITHIN_S
    while any(one.files() > one.idle_files for one in programs) and time.monotonic() < until:
        time.sleep(0.02)
    assert [one.files() for one in programs] == [one.idle_files for one in programs]


def test_too_many_of_one_client(pair: tuple[Program, Program]) -> None:
    wait_idle(*pair)
    held = [Udp(pair[0].port) for _ in range(16)]
    with socket.create_connection(("127.0.0.1", pair[0].port), WITHIN_S) as control:
        assert ask(control, 3, NOWHERE)[1] == 2
    for udp in held:
        udp.close()
