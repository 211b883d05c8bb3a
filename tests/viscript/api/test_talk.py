"""What running applications are asked over the API: one with the extensions, one without, one that hangs."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from tests.viscript.daemon import PROGRAMS, Daemon, run_daemon
from tests.viscript.launcher.backends import wait_until
from viscript.api.client import ApiClient, RefusedError
from viscript.api.model import (
    AskMemStats,
    AskSelf,
    AskStatus,
    AskTop,
    AskUsage,
    Done,
    ListRunning,
    MemStats,
    PingApp,
    PingTime,
    ReadLog,
    Request,
    RunningApps,
    Said,
    SelfReport,
    SetLogLevel,
    Start,
    Status,
    TellApp,
    TopTable,
    TypeInto,
    UsageReport,
)
from viscript.launcher.model import LogPart
from viscript.shell.completion import Names

CONFIG = """
apps:
  teller: {path: bin/teller}
  parrot: {path: bin/parrot}
  old: {path: bin/old}
"""
TELLER = """
import threading
from viscript.signal import SignalClient

signal = SignalClient().add_field("turns", lambda: 7).add_command("echo", lambda *words: " ".join(words))
signal.status = "turning"
signal.run_in_thread()
signal.shutdown.wait()
"""

OLD = """
import os, socket, struct

host, _, port = os.environ["SIGNAL_SERVER_ADDRESS"].rpartition(":")
line = socket.create_connection((host, int(port)))
stream = line.makefile("rb")

def send(number, body):
    line.sendall(struct.pack(">BII", 1, number, len(body)) + body)

send(1, b'\\0{"Id":%s}' % os.environ["SIGNAL_CLIENT_ID"].encode())
sent = 1
while kind := stream.read(1):
    (number,) = struct.unpack(">I", stream.read(4))
    if kind == b"\\x80":
        continue
    body = stream.read(*struct.unpack(">I", stream.read(4)))
    line.sendall(b"\\x80" + struct.pack(">I", number))
    if body[0] < 0x80:
        sent += 1
        send(sent, bytes([body[0] | 0x80]) + (b'{"HeapAlloc":5,"HeapSys":6}' if body[0] == 0 else b"null"))
"""
"""A program as the original library makes them: registration, answers, and no extensions."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """With `teller` as id 2, registered, and `parrot`, which knows nothing of signal, as id 3."""
    (tmp_path / "teller.py").write_text(TELLER)
    (tmp_path / "old.py").write_text(OLD)
    PROGRAMS.update({name: f"exec {sys.executable} {tmp_path}/{name}.py" for name in ("teller", "old")})
    try:
        with run_daemon(tmp_path, CONFIG) as daemon:
            for name in ("teller", "parrot"):
                daemon.say("start", name)
            daemon.say("ping", "2")
            yield daemon
    finally:
        del PROGRAMS["teller"], PROGRAMS["old"]


@pytest.fixture
def api(daemon: Daemon) -> Iterator[ApiClient]:
    with daemon.api() as api:
        yield api


def refuse(api: ApiClient, request: Request) -> tuple[str, str]:
    with pytest.raises(RefusedError) as caught:
        api.call(request, Done)
    return caught.value.code, str(caught.value)


def is_stopped(pid: int) -> bool:
    """Whether all its threads are, which takes a moment."""
    stats = [task.joinpath("stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


def pid_of(api: ApiClient, app_id: int) -> int:
    (pid,) = (app.pid for app in api.call(ListRunning(), RunningApps).apps if app.id == app_id)
    return pid


def test_an_app_tells_of_itself(daemon: Daemon, api: ApiClient) -> None:
    report = api.call(AskSelf(2), SelfReport)
    assert (report.status, report.fields, report.commands) == ("turning", {"turns": 7}, ("echo",))
    usage = api.call(AskUsage(2), UsageReport)
    assert usage.own == report
    assert usage.rss > 0
    assert api.call(TellApp(2, "echo", ("a b", "c")), Said).text == "a b c"
    assert api.call(AskMemStats(2), MemStats).stats["HeapAlloc"] > 0
    api.call(SetLogLevel(2, "DEBUG"), Done)
    assert api.call(AskSelf(2), SelfReport).log_level == "DEBUG"
    assert daemon.say("log_level", "2") == "log level DEBUG\n"
    assert daemon.say("log_level", "2", "ERROR") == "log level of id 2 is now ERROR\n"
    assert daemon.say("tell", "2", "echo", "A b", "--json") == "A b --json\n"
    shown = daemon.say("ru", "2")
    assert "Status   turning\n" in shown
    assert "turns    7\n" in shown
    assert json.loads(daemon.say("ru", "2", "--json"))["own"]["fields"] == {"turns": 7}
    assert "turning" in daemon.say("top")
    offered = Names(api).get_completions(Document("tell 2 "), CompleteEvent())
    assert [found.text for found in offered] == ["echo"]


def test_an_app_without_signal_is_named_as_such(daemon: Daemon, api: ApiClient) -> None:
    for request in (AskSelf(3), SetLogLevel(3, "debug"), TellApp(3, "echo"), AskMemStats(3)):
        code, text = refuse(api, request)
        assert code == "no-answer"
        assert "program 3 is not connected" in text
    assert api.call(AskUsage(3), UsageReport).own is None
    rows = {row.app: row for row in api.call(AskTop(), TopTable).rows}
    assert (rows["parrot"].connected, rows["teller"].connected) == (False, True)
    assert "Status" not in daemon.say("ru", "3")


def test_an_old_program_says_what_it_can(daemon: Daemon, api: ApiClient) -> None:
    daemon.say("start", "old")
    assert daemon.say("ping", "4").startswith("ping time ")
    figures = "HeapAlloc:5 HeapSys:6 HeapIdle:0 HeapInuse:0 StackSys:0 StackInuse:0"
    assert daemon.say("ru", "-g", "4") == f"MemStats {figures}\n"
    for request in (AskSelf(4), SetLogLevel(4, "debug"), TellApp(4, "echo")):
        code, text = refuse(api, request)
        assert (code, text.startswith("program 4 does not know")) == ("unsupported", True)
    assert api.call(AskUsage(4), UsageReport).own is None


def test_a_program_may_refuse(api: ApiClient) -> None:
    assert refuse(api, TellApp(2, "dance")) == ("app-refused", "no command 'dance' (there are: echo)")
    assert refuse(api, SetLogLevel(2, "loud"))[0] == "app-refused"


def test_a_hung_app_hangs_nobody(daemon: Daemon, api: ApiClient) -> None:
    pid = pid_of(api, 2)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_stopped(pid))
    try:
        with daemon.api() as waiting:
            waiting.ask(PingApp(2))
            begun = time.monotonic()
            assert api.call(AskStatus(), Status).running == 2
            assert time.monotonic() - begun < 2
            assert {row.status for row in api.call(AskTop(), TopTable).rows} == {""}
            assert api.call(AskUsage(2), UsageReport).own is None
            with pytest.raises(RefusedError) as caught:
                waiting.take(PingTime)
        assert caught.value.code == "no-answer"
    finally:
        os.kill(pid, signal.SIGCONT)


def test_what_is_typed_comes_back_in_the_log(api: ApiClient) -> None:
    part = api.call(ReadLog(3), LogPart)
    wait_until(lambda: api.call(ReadLog(3), LogPart).text == "ready\n")
    part = api.call(ReadLog(3), LogPart)
    api.call(TypeInto(3, "Marco\n"), Done)
    part = api.call(ReadLog(3, offset=part.next_offset, wait_s=20), LogPart)
    assert part.text == "Marco\n"
    assert api.call(ReadLog(3, lines=1), LogPart).text == "Marco\n"
    assert api.call(ReadLog(3, offset=0), LogPart).text == "ready\nMarco\n"


def test_waiting_for_output_holds_up_no_other_call(daemon: Daemon) -> None:
    lines = (
        b'{"id":1,"request":{"do":"log","app_id":3,"offset":6,"wait_s":25}}\n',
        b'{"id":2,"request":{"do":"status"}}\n',
        b'{"id":3,"request":{"do":"type","app_id":3,"text":"Marco\\n"}}\n',
    )
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(daemon.socket))
        with connection.makefile("rb") as answers:
            connection.sendall(lines[0] + lines[1])
            assert json.loads(answers.readline())["id"] == 2
            connection.sendall(lines[2])
            said = {reply["id"]: reply for reply in (json.loads(answers.readline()) for _ in range(2))}
    assert said[1]["result"]["text"] == "Marco\n"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (ReadLog(3, wait_s=31), "cannot wait '31' s"),
        (ReadLog(3, wait_s=-1), "cannot wait '-1' s"),
        (ReadLog(3, lines=-1), "cannot show '-1' lines"),
        (ReadLog(3, offset=-5), "'-5' is no place"),
        (TypeInto(3, "x" * 70_000), "70000 characters were typed at once"),
    ],
)
def test_figures_are_looked_at_first(api: ApiClient, request_: Request, text: str) -> None:
    code, said = refuse(api, request_)
    assert code == "usage"
    assert text in said


def test_an_ended_app_is_remembered(daemon: Daemon, api: ApiClient) -> None:
    api.call(TypeInto(3, "last words\n"), Done)
    wait_until(lambda: "last words" in api.call(ReadLog(3), LogPart).text)
    os.kill(pid_of(api, 3), signal.SIGKILL)
    wait_until(lambda: api.call(AskStatus(), Status).running == 1)
    part = api.call(ReadLog(3), LogPart)
    assert part.ended is not None
    assert (part.text, part.ended.code) == ("ready\nlast words\n", -9)
    assert daemon.say("logs", "3") == "ready\nlast words\n(parrot has ended: signal 9 (SIGKILL))\n"
    assert daemon.say("logs", "3", "-f", "-n", "1") == "last words\n(parrot has ended: signal 9 (SIGKILL))\n"
    assert json.loads(daemon.say("logs", "3", "-f", "--json"))["ended"]["code"] == -9
    (ended,) = api.call(AskStatus(), Status).ended
    assert (ended.id, ended.app) == (3, "parrot")
    shown = daemon.say("status")
    assert "Ended     parrot (id 3): signal 9 (SIGKILL), " in shown
    assert " s ago\n" in shown


def test_start_over_the_api_needs_a_configured_app(api: ApiClient) -> None:
    assert refuse(api, Start("nothing")) == (
        "no-such-app",
        "App with name 'nothing' doesn't exist. Try running 'apps'.",
    )
