"""The API as any program may use it: lines of JSON, and what bad lines, floods and slow readers bring on."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from tests.viscript.daemon import Daemon
from tests.viscript.launcher.backends import wait_until
from viscript.api.client import ApiClient, RefusedError
from viscript.api.model import AskStatus, PingApp, PingTime, RunningApp, Start, Status
from viscript.api.socket_file import make_listener
from viscript.api.wire import LineReader
from viscript.errors import DaemonAwayError, DaemonBusyError, ProtocolError, ViscriptError


def exchange(daemon: Daemon, sent: bytes, answers: int) -> list[dict[str, object]]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(daemon.socket))
        connection.sendall(sent)
        with connection.makefile("rb") as lines:
            return [json.loads(lines.readline()) for _ in range(answers)]


def test_a_line_is_answered_with_its_id(daemon: Daemon) -> None:
    (reply,) = exchange(daemon, b'{"id":7,"request":{"do":"status"}}\n', 1)
    assert reply["id"] == 7
    assert isinstance(reply["result"], dict)
    assert reply["result"]["pid"] == daemon.pid


def test_several_calls_at_once_are_all_answered(daemon: Daemon) -> None:
    lines = b"".join(b'{"id":%d,"request":{"do":"status"}}\n' % number for number in range(1, 101))
    assert {reply["id"] for reply in exchange(daemon, lines, 100)} == set(range(1, 101))


def test_a_slow_call_does_not_hold_up_the_next(daemon: Daemon) -> None:
    daemon.say("start", "deaf")
    lines = b'{"id":1,"request":{"do":"ping","app_id":2}}\n{"id":2,"request":{"do":"status"}}\n'
    (first,) = exchange(daemon, lines, 1)
    assert first["id"] == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"hello\n", "not a valid line"),
        (b'{"id":1,"request":{"do":"format"}}\n', "not a valid line"),
        (b'{"id":1,"request":{"do":"ping","app_id":2,"extra":1}}\n', "unknown field"),
        (b"[" * 100_000 + b"\n", "not a valid line"),
        (b"x" * (1 << 20), "a line of more than"),
    ],
)
def test_a_bad_line_ends_that_connection_and_no_other(daemon: Daemon, line: bytes, reason: str) -> None:
    with daemon.api() as other:
        other.call(AskStatus(), Status)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(daemon.socket))
            try:
                connection.sendall(line)
                with connection.makefile("rb") as lines:
                    assert reason.encode() in lines.readline()
                    assert lines.readline() == b""
            except ConnectionError:
                assert len(line) > 1 << 19, "only who still sends is cut off without a word"
        assert other.call(AskStatus(), Status).pid == daemon.pid


def test_an_error_has_a_code_for_programs(daemon: Daemon) -> None:
    with daemon.api() as api, pytest.raises(RefusedError) as caught:
        api.call(PingApp(9), PingTime)
    assert caught.value.code == "no-such-id"


def test_a_shell_outlives_a_restart_of_the_daemon(daemon: Daemon) -> None:
    with daemon.api() as api:
        first = api.call(AskStatus(), Status).pid
        daemon.stop()
        with pytest.raises(DaemonAwayError):
            api.call(AskStatus(), Status)
        daemon.start()
        assert api.call(AskStatus(), Status).pid != first


def test_the_socket_is_for_its_group_and_replaces_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    make_listener(path, None).close()
    with make_listener(path, None):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert os.listdir(tmp_path) == ["api.sock"]  # noqa: PTH208
        with pytest.raises(DaemonBusyError):
            make_listener(path, None)
    with pytest.raises(ViscriptError, match="group 'no-such-group' does not exist"):
        make_listener(tmp_path / "other", "no-such-group")


def test_an_entry_with_a_key_that_nobody_knows_is_refused(daemon: Daemon) -> None:
    entry = b'{"name":"x","path":"bin/parrot","cage":"tight"}'
    (reply,) = exchange(daemon, b'{"id":1,"request":{"do":"deploy","app":"x","entry":%s}}\n' % entry, 1)
    assert "unknown field `cage`" in str(reply["error"])


def test_what_ended_last_is_told_first(daemon: Daemon) -> None:
    with daemon.api() as api:
        for number in (1, 2):
            api.call(Start("brief"), RunningApp)
            wait_until(lambda number=number: len(api.call(AskStatus(), Status).ended) == number)
        assert [ended.id for ended in api.call(AskStatus(), Status).ended] == [3, 2]


def test_nobody_there_is_told_as_such(tmp_path: Path) -> None:
    with ApiClient(tmp_path / "none") as api, pytest.raises(DaemonAwayError, match="nothing listens at"):
        api.call(AskStatus(), Status)


def test_the_socket_that_a_killed_daemon_left_is_nobody(tmp_path: Path) -> None:
    make_listener(tmp_path / "left", None).close()
    with (
        ApiClient(tmp_path / "left") as api,
        pytest.raises(DaemonAwayError, match=r"\(start it with: viscript headless"),
    ):
        api.call(AskStatus(), Status)


def test_lines_are_whole_and_bounded() -> None:
    lines = LineReader(8)
    assert lines.feed(b"ab") == []
    assert lines.half_line
    assert lines.feed(b"c\nd\ne") == [b"abc", b"d"]
    with pytest.raises(ProtocolError):
        lines.feed(b"123456789")
