"""The board's socket with real clients: what it answers, and what it does to who asks wrongly, much, or slowly."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skywire_board.api.server import MAX_LINES, BoardServer
from skywire_board.api.telling import status_of
from skywire_board.api_words import MAX_LINE, read_answer
from skywire_board.brain import decide
from skywire_board.client import BoardAwayError, BoardLine, BoardRefusedError, ask_status, press, tell
from skywire_board.model import Act, LineClosed, Said, SocketEvent, Started, TellAct
from skywire_board.state import State

ROOT = Path(__file__).parents[3]
AS_NOBODY = """
import os, sys
from pathlib import Path
from skywire_board.client import BoardRefusedError, press, ask_status
os.setgid(65534); os.setuid(65534)
path = Path(sys.argv[1])
print(ask_status(path).pattern)
try:
    press("hold10", path)
except BoardRefusedError as error:
    print(error)
"""


class Supervised:
    """A server in an event loop of its own, with a brain behind it."""

    def __init__(self, path: Path) -> None:
        self.path, self.state, self.events = path, State(), list[SocketEvent]()
        self.loop = asyncio.new_event_loop()
        self.state, _ = decide(self.state, Started(self.loop.time()))
        self.server = BoardServer(path, self.post, lambda: status_of(self.state, "fake board", "off"))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.call(self.server.start())

    def call(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(20)  # type: ignore[arg-type]

    def post(self, event: SocketEvent) -> None:
        self.events.append(event)
        self.state, effects = decide(self.state, event)
        for effect in effects:
            if isinstance(effect, TellAct):
                self.server.tell(effect.act, effect.lines)

    def close(self) -> None:
        self.call(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)
        self.loop.close()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    supervised = Supervised(tmp_path_factory.mktemp("board") / "board.sock")
    yield supervised
    supervised.close()


def raw(board: Supervised) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(20)
    link.connect(str(board.path))
    return link


def until(what: Callable[[], bool]) -> None:
    """Waits for it, at most 20 s."""
    end_s = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def read_all(link: socket.socket) -> bytes:
    """Until the other end hangs up; it may do so hard."""
    data = b""
    try:
        while more := link.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data


def test_status_is_answered(board: Supervised) -> None:
    status = ask_status(board.path)
    assert (status.pattern, status.board, status.mesh) == ("booting", "fake board", "unknown")


def test_the_file_is_for_its_group_alone(board: Supervised) -> None:
    assert oct(board.path.stat().st_mode)[-3:] == "660"


def test_what_is_said_ends_with_the_connection(board: Supervised) -> None:
    with BoardLine("pairing", board.path) as line:
        line.say("pairing", "waiting", code="2431")
        status = ask_status(board.path)
        assert (status.pattern, status.text, status.said) == ("pairing", "waiting", {"pairing": "pairing waiting"})
        line.say("note", "done")
        assert ask_status(board.path).pattern == "booting"
    until(lambda: not ask_status(board.path).said)


def test_who_follows_is_told_and_takes_the_short_press(board: Supervised) -> None:
    with BoardLine("pairing", board.path) as line:
        line.say("pairing")
        line.follow()
        press("short", board.path)
        press("hold3", board.path)
        line.say("confirmed")
        assert [line.act(10), line.act(10), line.act(0)] == ["short", "hold3", None]
    assert board.state.identify_until_s == 0.0


def test_telling_needs_no_supervisor(tmp_path: Path) -> None:
    tell("claim", "confirmed", path=tmp_path / "none")
    with pytest.raises(BoardAwayError, match="No such file"):
        ask_status(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_button_is_for_few(board: Supervised) -> None:
    board.path.chmod(0o666)
    board.path.parent.chmod(0o755)
    for folder in board.path.parents[1:]:
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(board.path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    board.path.chmod(0o660)
    assert done.stdout.splitlines()[1:] == ["'nobody' may not press the button (may: root, admin, viscript)"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"hello\n", "asked wrongly"),
        (b'{"do":"dance"}\n', "asked wrongly"),
        (b'{"do":"say","source":"X y","state":"pairing"}\n', "asked wrongly"),
        (b'{"do":"say","source":"x","state":"fault"}\n', "needs its blinks"),
        (b'{"do":"say","source":"x","state":"pairing","code":"12a"}\n', "asked wrongly"),
        (b'{"do":"press","act":"stuck"}\n', "asked wrongly"),
        (b'{"do":"status","more":1}\n', "asked wrongly"),
        (b"[" * 4000 + b"\n", "asked wrongly"),
        (b"x" * (MAX_LINE + 1), "a line of more than"),
        (b"\xff\xfe\n", "asked wrongly"),
    ],
)
def test_what_is_asked_wrongly_is_refused(board: Supervised, line: bytes, why: str) -> None:
    with raw(board) as link:
        link.sendall(line)
        answer = read_answer(link.recv(65536).splitlines()[0])
    assert why in getattr(answer, "why", "")


@given(st.lists(st.binary(max_size=300), max_size=8))
@settings(max_examples=40)
def test_garbage_harms_nobody(board: Supervised, chunks: list[bytes]) -> None:
    with raw(board) as link:
        try:
            for chunk in chunks:
                link.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert ask_status(board.path).pattern


def test_a_flood_is_paced(board: Supervised) -> None:
    """Who asks a thousand times at once is answered slowly, and others as if nothing were."""
    with raw(board) as link:
        link.sendall(b'{"do":"status"}\n' * 1000)
        for _ in range(3):
            assert ask_status(board.path).board == "fake board"
        link.settimeout(0.5)
        got = b""
        while got.count(b"\n") < 20:
            got += link.recv(65536)
        assert got.count(b"\n") < 100


def test_connections_are_few_and_room_comes_back(board: Supervised) -> None:
    links = [raw(board) for _ in range(MAX_LINES + 5)]
    answers = [read_all(link) for link in links[MAX_LINES:]]
    assert all(b"too many connections" in answer for answer in answers)
    for link in links:
        link.close()
    until(lambda: not board.server.lines)
    assert ask_status(board.path).board == "fake board"


def test_who_says_nothing_is_hung_up_on(board: Supervised, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire_board.api.server.IDLE_S", 0.2)
    with raw(board) as link:
        link.sendall(b'{"do":')
        assert read_all(link) == b""


def test_a_follower_that_does_not_read_is_hung_up_on(board: Supervised) -> None:
    with raw(board) as link:
        link.sendall(b'{"do":"follow"}\n')
        assert b"done" in link.recv(100)
        [number] = board.server.lines

        def shout() -> None:
            for _ in range(500):
                board.server.tell(Act.SHORT, (number,))

        for _ in range(60):
            board.loop.call_soon_threadsafe(shout)
        until(lambda: not board.server.lines)
        assert any(isinstance(event, LineClosed) and event.line == number for event in board.events)


def test_a_refused_press_of_a_client_is_an_error(board: Supervised) -> None:
    with BoardLine("x", board.path) as line, pytest.raises(BoardRefusedError, match="needs its blinks"):
        line.say("fault", "no number")
    assert not any(isinstance(event, Said) and event.saying.state == "fault" for event in board.events)
