"""The client's own socket: good questions, bad ones, and bytes of every kind, which cost nobody but the sender."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.lines import encode
from services.vpn.client.api import Api, ask
from services.vpn.client.api_words import MAX_LINE, Done, GetStatus, Off, Phase, Status
from services.vpn.errors import AskError, StartError

CORPUS = Path(__file__).with_name("corpus")
STATUS = Status(Phase.UP, "out by 31ab as 100.64.0.7", kill_switch=True)


class Running:
    """An API in a thread of its own; `offs` counts what it was told."""

    def __init__(self, path: Path) -> None:
        self.path, self.offs = path, 0
        self.loop = asyncio.new_event_loop()
        self._ends = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self.loop.run_until_complete(self._serve()))
        self._thread.start()
        assert self._ready.wait(10)

    async def _serve(self) -> None:
        api = Api(self.path, self._status, self._off)
        await api.start()
        self._ready.set()
        await self._ends.wait()
        await api.close()

    async def _status(self) -> Status:
        return STATUS

    async def _off(self) -> None:
        self.offs += 1

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(10)
        self.loop.close()

    def say(self, data: bytes) -> bytes:
        """What comes back until the end."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(5)
            door.connect(str(self.path))
            said = b""
            try:
                door.sendall(data)
                door.shutdown(socket.SHUT_WR)
                while more := door.recv(65536):
                    said += more
            except (BrokenPipeError, ConnectionResetError):
                pass
            return said


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    found = Running(tmp_path_factory.mktemp("api") / "vpn-client.sock")
    yield found
    found.close()


def test_it_tells_how_it_is(running: Running) -> None:
    assert ask(running.path, GetStatus()) == STATUS


def test_it_is_switched_off(running: Running) -> None:
    before = running.offs
    assert ask(running.path, Off()) == Done()
    assert running.offs == before + 1


def test_two_questions_in_one_piece(running: Running) -> None:
    assert running.say(encode(GetStatus()) * 2) == encode(STATUS) * 2


def test_a_line_that_is_none_is_refused(running: Running) -> None:
    assert b"not a request" in running.say(b'{"do":"fly"}\n')


def test_too_long_a_line_ends_that_connection_alone(running: Running) -> None:
    assert b"a line of more than" in running.say(b"x" * (MAX_LINE + 1))
    assert ask(running.path, GetStatus()) == STATUS


def until_answered(path: Path) -> None:
    """Those that left have given their places back."""
    for _ in range(500):
        with suppress(AskError):
            ask(path, GetStatus())
            return
    raise AssertionError("the places are not given back")


def test_the_kept_corpus(running: Running) -> None:
    """Each file: what is told, and the bytes that were sent. What a fuzzer finds is added there."""
    files = sorted(CORPUS.glob("*.txt"))
    assert len(files) > 15
    for file in files:
        says, *lines = file.read_text().splitlines()
        said = running.say(bytes.fromhex("".join(lines))).decode()
        wanted = says.removeprefix("says:").strip()
        assert wanted in said if wanted else said == "", (file.name, said)
        assert ask(running.path, GetStatus()) == STATUS, file.name


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
@example(data=b"\n" * 300)
@example(data=b'{"do":"status","more":1}\n')
@example(data=b"[" * 10_000 + b"\n")
@example(data=b'{"do":"off"')
@example(data=b"\xff\xfe\n\0")
def test_bytes_of_every_kind(running: Running, data: bytes) -> None:
    running.say(data)
    assert ask(running.path, GetStatus()) == STATUS


def test_a_second_client_is_told_of_the_first(running: Running) -> None:
    async def start() -> None:
        async def unused() -> None:
            return None

        await Api(running.path, running._status, unused).start()

    with pytest.raises(StartError, match="another VPN client runs already"):
        asyncio.run(start())


def test_where_none_runs_nobody_answers(tmp_path: Path) -> None:
    assert ask(tmp_path / "none.sock", GetStatus()) is None


def test_somebody_else_at_the_socket_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()

        def answer() -> None:
            taken, _ = other.accept()
            with taken:
                taken.recv(100)
                taken.sendall(b"hello\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(AskError, match="not an answer"):
            ask(path, GetStatus())
        thread.join(5)
