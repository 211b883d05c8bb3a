"""The starter: what it tells systemd, and what it will not do whoever asks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.viscript.launcher.backends import run_starter, starter_environment, wait_until
from viscript.errors import UsageError
from viscript.launcher.model import App
from viscript.launcher.starter.argv import Streams, make_run_argv, parse_unit_name, unit_name
from viscript.signal.model import Address

ADDRESS = Address("127.0.0.1", 7999)
STREAMS = Streams(Path("/run/skywire/out/4.out"))
CONFIG = "apps: {sleeper: {path: /bin/sleep, default_args: ['60']}}"


def ask(path: Path, line: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(line)
        data = b""
        while chunk := connection.recv(65_536):
            data += chunk
    answer: dict[str, Any] = json.loads(data)
    return answer


def test_the_line_for_systemd_names_program_unit_and_walls() -> None:
    app = App(name="vpn", path="bin/vpn", memory_max=1 << 20, cpu_weight=20, env={"A": "$B"})
    argv = make_run_argv(app, 4, ("--x", "$HOME %n; id"), Path("/usr/lib/skywire"), ADDRESS, STREAMS)
    assert argv[0] == "systemd-run"
    assert argv[argv.index("--") :] == ["--", "/usr/lib/skywire/bin/vpn", "--x", "$HOME %n; id"]
    assert {
        "--unit=skywire-app-vpn-4.service",
        "--property=RemainAfterExit=yes",
        "--property=StandardInput=null",
        "--property=StandardOutput=append:/run/skywire/out/4.out",
        "--property=StandardError=append:/run/skywire/out/4.out",
        "--expand-environment=no",
        "--slice=skywire-apps.slice",
        "--property=DynamicUser=yes",
        "--property=User=skyapp-4",
        "--property=NoNewPrivileges=yes",
        "--property=CapabilityBoundingSet=",
        "--property=MemoryMax=1048576",
        "--property=CPUWeight=20",
        "--property=KillMode=control-group",
        "--setenv=A=$B",
        "--setenv=SIGNAL_CLIENT=true",
        "--setenv=SIGNAL_CLIENT_ID=4",
        "--setenv=SIGNAL_SERVER_ADDRESS=127.0.0.1:7999",
    } <= set(argv)


def test_memory_is_limited_even_if_nobody_says_so() -> None:
    argv = make_run_argv(App(name="a", path="a"), 2, (), Path("/p"), ADDRESS, STREAMS)
    assert "--property=MemoryMax=134217728" in argv


def test_a_unit_name_tells_app_and_id() -> None:
    assert parse_unit_name(unit_name("meshnet-socks-1", 12)) == ("meshnet-socks-1", 12)
    assert parse_unit_name("ssh.service") is None


@pytest.mark.parametrize("name", ["", "a b", "../x", "-a", "a/b", "a\n", "x" * 65])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not an application's name"):
        unit_name(name, 2)


def test_arguments_have_limits() -> None:
    app = App(name="a", path="a")
    for args in [("x\0y",), ("x" * 5000,), ("x",) * 65]:
        with pytest.raises(UsageError):
            make_run_argv(app, 2, args, Path("/p"), ADDRESS, STREAMS)


def test_only_configured_programs_start_and_no_id_twice(tmp_path: Path) -> None:
    with run_starter(tmp_path, CONFIG) as path:
        assert ask(path, b'{"do":"list"}\n') == {}
        refused = ask(path, b'{"do":"start","app":"sh","id":2,"args":["-c","id"]}\n')
        assert "doesn't exist" in str(refused["error"])
        started = ask(path, b'{"do":"start","app":"sleeper","id":2,"args":["60"]}\n')
        listed = ask(path, b'{"do":"list"}\n')
        assert started == listed
        again = ask(path, b'{"do":"start","app":"sleeper","id":2,"args":["60"]}\n')
        assert again["error"] == "id 2 is running already"
        assert ask(path, b'{"do":"stop","id":2,"signal":"KILL"}\n') == listed
        assert "No running app has the id 3" in str(ask(path, b'{"do":"stop","id":3,"signal":"TERM"}\n')["error"])


def test_a_configuration_others_can_write_starts_nothing(tmp_path: Path) -> None:
    with run_starter(tmp_path, CONFIG) as path:
        (tmp_path / "apps.d").mkdir()
        (tmp_path / "apps.d" / "more.yaml").write_text("apps: {more: {path: /bin/sleep}}")
        for name in ("config.yaml", "apps.d", "apps.d/more.yaml"):
            (tmp_path / name).chmod(0o777)
            refused = ask(path, b'{"do":"start","app":"sleeper","id":2,"args":[]}\n')
            assert f"{name}: others can write it (run: chown root" in str(refused["error"])
            (tmp_path / name).chmod(0o755)


def test_the_exit_code_is_kept_until_it_is_collected(tmp_path: Path) -> None:
    with run_starter(tmp_path, "apps: {brief: {path: /bin/sh}}") as path:
        ask(path, b'{"do":"start","app":"brief","id":2,"args":["-c","exit 6"]}\n')
        wait_until(lambda: "failed" in (tmp_path / "units/skywire-app-brief-2.service").read_text())
        (listed,) = ask(path, b'{"do":"list"}\n')["units"]
        assert (listed["state"], listed["code"]) == ("ended", 6)
        assert "No running app has the id 2" in str(ask(path, b'{"do":"stop","id":2,"signal":"TERM"}\n')["error"])
        assert ask(path, b'{"do":"collect","id":2}\n') == {"units": [listed]}
        assert ask(path, b'{"do":"collect","id":2}\n') == {}
        assert (tmp_path / "out/2.out").exists()
        assert ask(path, b'{"do":"forget","id":2}\n') == {}
        assert not (tmp_path / "out/2.out").exists()


def test_the_files_of_what_runs_are_not_forgotten(tmp_path: Path) -> None:
    with run_starter(tmp_path, CONFIG) as path:
        ask(path, b'{"do":"start","app":"sleeper","id":2,"args":["60"]}\n')
        ask(path, b'{"do":"forget","id":2}\n')
        assert (tmp_path / "out/2.out").exists()
        ask(path, b'{"do":"stop","id":2,"signal":"KILL"}\n')


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"hello\n", "not a request"),
        (b'{"do":"start","app":"sleeper","id":2,"args":[],"path":"/bin/sh"}\n', "unknown field"),
        (b'{"do":"stop","id":2,"signal":"STOP"}\n', "Invalid enum value"),
        (b'{"do":"add","name":"x","entry":{"name":"x","path":"/bin/sh"}}\n', "path '/bin/sh' is not one"),
        (b'{"do":"add","name":"x","entry":{"name":"x","path":"/bin/sleep","daemon":1}}\n', "not a request"),
        (b'{"do":"start","app":"sleeper","id":-1,"args":[]}\n', "out of range"),
        (b"x" * (1 << 19) + b"yy", "a line of more than"),
    ],
)
def test_a_line_that_is_no_request_is_answered_with_the_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    with run_starter(tmp_path, CONFIG) as path:
        assert reason in str(ask(path, line)["error"])


def test_another_user_is_turned_away(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to name another user")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with start_activated(listener, tmp_path, "nobody") as starter:
            try:
                assert ask(tmp_path / "s", b"") == {"error": "user 0 may not ask for this"}
            finally:
                starter.terminate()


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "viscript.launcher.starter", *sys.argv[2:]])
"""


def start_activated(listener: socket.socket, directory: Path, user: str) -> subprocess.Popen[bytes]:
    """As systemd would: the listening socket is descriptor 3 and the process knows that it is meant."""
    directory.joinpath("units").mkdir()
    directory.joinpath("config.yaml").write_text(CONFIG)
    options = ["--config", "config.yaml", "--allow-user", user]
    return subprocess.Popen(
        [sys.executable, "-c", ACTIVATE, str(listener.fileno()), *options],
        cwd=directory,
        env=starter_environment(directory / "units"),
        pass_fds=[listener.fileno()],
    )
