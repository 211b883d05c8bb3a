"""A blocking line to a program's own socket: its answers, its silence, its end, and the word of one that turns away
whoever comes, which each program's blocking client tells too, and the node's in an event loop.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from services.app.asking_line import AskingLine, why_away
from services.app.line_socket import FULL, LineSocket, Room
from services.app.refusals import Refusals
from services.lines import LineReader, encode
from services.manager import api_words as manager
from services.manager.client import Line as ManagerLine
from services.manager.errors import ManagerAwayError, RefusedError
from services.messenger import api_words as messenger
from services.messenger.client import MessengerClient
from services.messenger.errors import MessengerAwayError, MessengerRefusedError
from services.messenger.line import Line as MessengerLine
from services.node import api_words as node
from services.node.client import NodeClient
from services.node.errors import NodeAwayError, NodeRefusedError
from services.node.line import Line as NodeLine
from services.pairing import api_words as pairing
from services.pairing.client import Line as PairingLine
from services.pairing.client import PairingAwayError
from services.pairing.errors import ApiError

STEP = "start it"


class AwayError(Exception):
    pass


def open_line(path: Path, within_s: float = 10.0) -> AskingLine:
    def away(error: OSError | None) -> AwayError:
        return AwayError(*why_away("clock", path, error, STEP))

    return AskingLine(path, LineReader(100, ValueError), away, within_s)


@contextmanager
def other_end(path: Path, *said: bytes) -> Iterator[None]:
    """Takes one connection and one question, says each of these by itself, and closes."""

    def serve() -> None:
        taken, _ = listener.accept()
        with taken:
            taken.settimeout(10)
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            taken.recv(100)
            for data in said:
                taken.sendall(data)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)


def test_lines_come_one_by_one_however_they_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with other_end(path, b"on", b"e\ntwo\nth", b"ree\nhalf"), open_line(path) as line:
        assert line.say(b"?\n")
        assert [line.hear() for _ in range(3)] == [b"one", b"two", b"three"]
        with pytest.raises(AwayError, match=f"the clock at '{path}' closed the connection without an answer"):
            line.hear()


def test_a_line_without_an_end_is_not_read_to_it(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with other_end(path, b"x" * 101), open_line(path) as line, pytest.raises(ValueError, match="more than 100 bytes"):
        line.answer_to(node.GetStatus())


def test_silence_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with other_end(path), open_line(path) as line:
        line.wait_at_most(0.05)
        with pytest.raises(AwayError, match="does not answer in time"):
            line.hear()
        line.say(b"?\n")


def test_another_thread_ends_the_waiting(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with other_end(path), open_line(path) as line:
        threading.Timer(0.05, line.close).start()
        with pytest.raises(AwayError, match="closed the connection"):
            line.hear()


def test_where_nobody_is_the_next_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(AwayError) as caught:
        open_line(tmp_path / "none.sock")
    assert caught.value.args == (f"no clock answers at '{tmp_path}/none.sock': No such file or directory", STEP)
    what, step = why_away("clock", tmp_path, PermissionError(13, "Permission denied"), STEP, "be its friend")
    assert (what, step) == (f"may not speak to the clock at '{tmp_path}': be its friend", "")


@pytest.mark.parametrize(
    ("open_its", "error", "step"),
    [
        (NodeLine, NodeAwayError, "is it running. node run"),
        (ManagerLine, ManagerAwayError, "is it running. manager run"),
        (MessengerLine, MessengerAwayError, "is it running. meshnet-messenger run"),
        (PairingLine, PairingAwayError, "no pairing goes on"),
        (lambda path: asyncio.run(NodeClient(path).start()), NodeAwayError, "node run"),
        (lambda path: asyncio.run(MessengerClient(path).start()), MessengerAwayError, "meshnet-messenger run"),
    ],
)
def test_each_program_says_how_it_is_started(
    tmp_path: Path, open_its: Callable[[Path], object], error: type[Exception], step: str
) -> None:
    with pytest.raises(error, match=step):
        open_its(tmp_path / "none.sock")


# turned away


def wait_left(line: AskingLine) -> None:
    """Until the other end has gone."""
    poll = select.poll()
    poll.register(line.fileno(), 0)
    assert poll.poll(10_000)


def ask_pairing(line: PairingLine) -> None:
    line.watch()
    line.shown(10)


@pytest.mark.parametrize(
    ("open_its", "ask", "refused", "error"),
    [
        (NodeLine, lambda line: line.ask(node.GetStatus(), node.Status), node.Refused(FULL), NodeRefusedError),
        (ManagerLine, lambda line: line.ask(manager.GetStatus(), manager.Status), manager.Refused(FULL), RefusedError),
        (
            MessengerLine,
            lambda line: line.ask(messenger.GetStatus(), messenger.Status),
            messenger.Refused(FULL),
            MessengerRefusedError,
        ),
        (PairingLine, ask_pairing, pairing.Refused(FULL), ApiError),
        (PairingLine, lambda line: line.ask(pairing.Confirm()), pairing.Refused(FULL), ApiError),
    ],
)
def test_who_is_turned_away_tells_why(
    tmp_path: Path,
    open_its: Callable[[Path], AskingLine],
    ask: Callable[[AskingLine], object],
    refused: msgspec.Struct,
    error: type[Exception],
) -> None:
    async def serve(*_: object) -> None:
        raise AssertionError

    def ask_late() -> None:
        with open_its(path) as line:
            wait_left(line)
            with pytest.raises(error, match=r"^too many connections"):
                ask(line)

    async def go() -> None:
        full = LineSocket(path, serve, Room(0, 0, 0), Refusals(logging.getLogger()), full=encode(refused), mode=0o600)
        await full.start()
        try:
            await asyncio.to_thread(ask_late)
        finally:
            await full.close()

    path = tmp_path / "x.sock"
    asyncio.run(go())


@pytest.mark.parametrize("has_read", [False, True])
def test_so_does_who_asks_in_an_event_loop(tmp_path: Path, has_read: bool) -> None:
    """Whether its loop has taken in the word before it asks, or not."""

    async def ask(listener: socket.socket) -> None:
        async with NodeClient(tmp_path / "x.sock") as client:
            taken, _ = listener.accept()
            taken.sendall(encode(node.Refused(FULL)))
            taken.close()
            if has_read:
                await asyncio.sleep(0.05)
            with pytest.raises(NodeRefusedError, match=r"^too many connections"):
                await client.ask(node.GetStatus(), node.Status)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "x.sock"))
        listener.listen()
        asyncio.run(ask(listener))
