"""The whole line with real processes: a person's words, the daemon, applications, and crashes in between."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.viscript.daemon import CONFIG, Daemon, free_port, run_daemon
from tests.viscript.launcher.backends import run_starter, wait_until
from viscript.api.model import ListRunning, RunningApp, RunningApps


def running(daemon: Daemon) -> list[RunningApp]:
    with daemon.api() as api:
        return list(api.call(ListRunning(), RunningApps).apps)


def test_a_persons_first_session(daemon: Daemon) -> None:
    address = f"127.0.0.1:{free_port()}"
    program = daemon.directory / "bin" / "apptracker"
    assert daemon.say("apps").splitlines() == [
        "apptracker    -Directory of applications",
        "deaf          -Hears no signal",
        "brief         -",
        "parrot        -Says what it hears",
        'Type "help <name>" for expected parameters.',
    ]
    assert daemon.say("list_apps") == "No apps are running.\n"
    added = f"Added external app (ID: 2, Command: {program} {address})\n"
    assert daemon.say("s", "apptracker", address) == added
    assert re.fullmatch(r"ping time [0-9.]+(µs|ms|s)\n", daemon.say("ping", "2"))
    assert daemon.say("la") == f"[ 2 ] -> [ {program} ]\n"
    assert daemon.say("la", "-f") == f"[ 2 ] -> [ {program} {address} ]\n"
    assert daemon.say("ru", "2").splitlines()[0].startswith("CPU ")
    (app,) = running(daemon)
    assert daemon.say("sd", "2") == f"shutdown pid {app.pid}\n"
    assert daemon.say("la") == "No apps are running.\n"


def test_the_tracker_is_asked_by_a_second_program(daemon: Daemon) -> None:
    address = f"127.0.0.1:{free_port()}"
    daemon.say("start", "apptracker", address)
    daemon.say("ping", "2")
    tracker = [sys.executable, "-m", "services.apptracker"]

    def ask(*words: str) -> str:
        done = subprocess.run([*tracker, *words], env=daemon.environment, capture_output=True, text=True, check=True)
        return done.stdout

    ask(address, "web", "--register", "10.0.0.1:80")
    assert ask("--query", address).startswith("web  -  10.0.0.1:80  -  ")
    assert ask("--query", address, "mail") == ""


def test_a_killed_viscript_finds_its_applications_again(daemon: Daemon) -> None:
    daemon.say("start", "apptracker")
    daemon.say("start", "deaf")
    daemon.say("ping", "2")
    before = [(app.id, app.pid) for app in running(daemon)]
    daemon.stop(signal.SIGKILL)
    away = daemon.shell("apps")
    assert away.returncode == 1
    assert "viscript" in away.stderr
    daemon.start()
    assert [(app.id, app.pid) for app in running(daemon)] == before
    assert daemon.say("ping", "2").startswith("ping time ")
    assert "(ID: 4," in daemon.say("start", "deaf")


def test_a_stopped_viscript_leaves_its_applications_too(daemon: Daemon) -> None:
    daemon.say("start", "deaf")
    (app,) = running(daemon)
    assert daemon.stop() == 0
    assert Path(f"/proc/{app.pid}").exists()
    daemon.start()
    assert running(daemon) == [app]


def test_what_ended_meanwhile_is_forgotten_and_its_id_not_reused(daemon: Daemon) -> None:
    daemon.say("start", "deaf")
    (app,) = running(daemon)
    daemon.stop(signal.SIGKILL)
    subprocess.run(["/bin/kill", "-9", str(app.pid)], check=True)
    wait_until(lambda: not Path(f"/proc/{app.pid}/exe").exists())
    daemon.start()
    assert running(daemon) == []
    assert "(ID: 3," in daemon.say("start", "deaf")


def test_ids_go_away_when_the_app_does(daemon: Daemon) -> None:
    assert "(ID: 2," in daemon.say("start", "brief")
    wait_until(lambda: not running(daemon))
    gone = daemon.shell("ping", "2")
    assert (gone.returncode, gone.stderr) == (1, "No running app has the id 2. Try running 'list_apps'.\n")
    assert "exit 3" in daemon.log.read_text()


def test_a_program_that_will_not_go_is_made_to(daemon: Daemon) -> None:
    daemon.say("start", "deaf")
    (app,) = running(daemon)
    lines = daemon.say("shutdown", "2").splitlines()
    assert lines == [f"shutdown pid {app.pid}", "(ended by SIGKILL: it did not go when asked)"]


def test_a_second_daemon_is_turned_away(daemon: Daemon) -> None:
    second = daemon.shell(*daemon.arguments())
    assert second.returncode == 1
    assert "another viscript uses" in second.stderr


def test_a_taken_port_is_named_with_a_way_out(daemon: Daemon, tmp_path: Path) -> None:
    words = daemon.arguments()
    words[words.index("--state-dir") + 1] = str(tmp_path / "second")
    second = daemon.shell(*words)
    assert (second.returncode, second.stderr.splitlines()[-1]) == (
        1,
        f"viscript: cannot listen for programs at '{daemon.signal_address}': Address already in use"
        " (give another --signal-address)",
    )


def test_a_broken_configuration_is_shown_to_whoever_asks(tmp_path: Path) -> None:
    with run_daemon(tmp_path, "apps:\n  a: {path: p, demon: true}\n") as daemon:
        assert "config.yaml:2: unknown key 'demon' in apps.a" in daemon.say("apps")
        status = json.loads(daemon.say("--json", "status"))
        assert "unknown key" in status["trouble"]
        assert status["pid"] == daemon.pid


def test_on_a_board_the_starter_does_it(tmp_path: Path) -> None:
    """The whole line with units; without real control groups nobody may register, so the end comes by SIGTERM."""
    daemon = Daemon(tmp_path)
    with run_starter(tmp_path, CONFIG, daemon.signal_address) as starter:
        options = ("--backend", "unit", "--starter", str(starter))
        daemon.start(*options)
        added = f"Added external app (ID: 2, Command: {tmp_path}/bin/apptracker 127.0.0.1:0)\n"
        assert daemon.say("s", "apptracker") == added
        (app,) = running(daemon)
        wait_until(lambda: "id 2 does not belong to that program" in daemon.log.read_text())
        unknown = daemon.shell("s", "nothing")
        assert unknown.stderr == "App with name 'nothing' doesn't exist. Try running 'apps'.\n"
        daemon.stop(signal.SIGKILL)
        (tmp_path / "state" / "state.json").unlink()
        daemon.start(*options)
        assert [(found.id, found.pid) for found in running(daemon)] == [(2, app.pid)]
        assert "(ID: 3," in daemon.say("start", "apptracker")
        assert daemon.say("sd", "2").startswith(f"shutdown pid {app.pid}\n(ended by SIGTERM")
        daemon.end_everything()


def test_readiness_and_watchdog_are_told_to_systemd(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        daemon.environment |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        daemon.start()
        assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        daemon.stop()
