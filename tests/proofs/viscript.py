"""`tests/prove viscript`: what people outside see of launcher, signal server, shell and cluster.

Real daemons with real programs. Who looks is the kernel (process ids, sessions, blocks on disk), bare sockets that
speak the original's recorded bytes, and the shell's own lines.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.boot.rows import Table, wait_for
from tests.proofs.cluster import cluster_rows
from tests.proofs.plain_program import play
from tests.viscript.daemon import Daemon, run_daemon

TREE = Path(__file__).parents[2]
DEADLINE_S = 60
REAP_DEADLINE_S = 5
RING_BYTES = 128 * 1024
CONFIG = """
apps:
  meshnet-socks-server:
    daemon: true
    desc: DESCRIPTION GOES HERE
    path: bin/apptracker
    default_args: []
    help: |
        [1] Text name of app, must be unique
        [2] Where it listens
  apptracker: {daemon: true, path: bin/apptracker, default_args: ["127.0.0.1:0"]}
  steady: {daemon: true, path: bin/apptracker, default_args: ["127.0.0.1:0"], restart: always}
  plain: {daemon: true, path: bin/plain}
  deaf: {daemon: true, path: bin/deaf, stop_timeout_s: 0.3}
  family: {daemon: true, path: bin/family}
  chatter: {daemon: true, path: bin/chatter}
  echo: {path: bin/echo}
"""
PROGRAMS = {
    "apptracker": f'exec {sys.executable} -m services.apptracker "$@"',
    "plain": f"exec {sys.executable} {TREE / 'tests/proofs/plain_program.py'}",
    "deaf": 'trap "" TERM; while :; do sleep 0.2; done',
    "family": "sleep 1001 & (sleep 1002 &) ; wait",
    "chatter": "yes 'the same line again and again' | head -c 30000000; echo the last line; exec sleep 1000",
    "echo": "exec cat",
}


def prove(scratch: Path, parts: set[str]) -> list[Table]:
    """The tables of the parts asked for."""
    tables: list[Table] = []

    def open_table(title: str) -> Table:
        tables.append(Table(title))
        return tables[-1]

    if "installed" in parts:
        installed_row(scratch, open_table("installed by pip"))
    if "daemon" in parts:
        (scratch / "daemon").mkdir()
        daemon_rows(scratch / "daemon", open_table("one daemon"))
    if "cluster" in parts:
        (scratch / "cluster").mkdir()
        cluster_rows(scratch / "cluster", open_table("two boards, each with a network of its own"))
    return tables


def daemon_rows(scratch: Path, table: Table) -> None:
    with run_daemon(scratch, CONFIG) as daemon:
        for name, text in PROGRAMS.items():
            program = scratch / "bin" / name
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        table.check("the original's configuration entry is listed, with its help", lambda: _listed(daemon))
        table.check("start, list, ping, use and end keep the original's shapes", lambda: _shapes(daemon))
        table.check("a program that speaks the original's recorded bytes is served", lambda: _plain(daemon))
        table.check("a stranger cannot take a live id, nor one that was never given", lambda: _stranger(daemon))
        table.check("bad frames close their own connection only", lambda: _bad_frames(daemon))
        table.check("viscript killed -9: the same programs, the same ids, no doubles", lambda: _killed(daemon))
        table.check("a crashed program under restart: always is back under its id", lambda: _crashed(daemon))
        table.check("each way of ending is told: signal, SIGTERM, SIGKILL", lambda: _ways(daemon))
        table.check("nothing of a program's family is left when it is ended", lambda: _family(daemon))
        table.check("30 MB of output stay a few blocks, and its end can be read", lambda: _ring(daemon))
        table.check("a broken configuration is told with its line, the former one stays", lambda: _reload(daemon))
        table.check("exit codes: 0 done, 1 failed, 2 asked wrongly; --json is JSON", lambda: _codes(daemon))


def _start(daemon: Daemon, *words: str) -> int:
    said = daemon.say("start", *words)
    return int(said.split("ID: ")[1].split(",")[0])


def _pid(daemon: Daemon, app_id: int) -> int:
    apps = json.loads(daemon.say("--json", "list_apps"))["apps"]
    return next((int(app["pid"]) for app in apps if app["id"] == app_id), 0)


@contextlib.contextmanager
def _running(daemon: Daemon, *words: str) -> Iterator[int]:
    app_id = _start(daemon, *words)
    try:
        yield app_id
    finally:
        daemon.shell("shutdown", str(app_id))


def _listed(daemon: Daemon) -> tuple[str, bool]:
    apps, text = daemon.say("apps"), daemon.say("help", "meshnet-socks-server")
    line = next(line for line in apps.splitlines() if line.startswith("meshnet"))
    return line, line == "meshnet-socks-server    -DESCRIPTION GOES HERE" and "[1] Text name of app" in text


def _shapes(daemon: Daemon) -> tuple[str, bool]:
    added = daemon.say("s", "apptracker", "127.0.0.1:0").strip()
    app_id = int(added.split("ID: ")[1].split(",")[0])
    pid = _pid(daemon, app_id)
    path = daemon.directory / "bin/apptracker"
    listed, pinged = daemon.say("la").strip(), daemon.say("ping", str(app_id)).strip()
    stats, ended = daemon.say("ru", "-g", str(app_id)).strip(), daemon.say("sd", str(app_id)).strip()
    ok = (
        added == f"Added external app (ID: {app_id}, Command: {path} 127.0.0.1:0)"
        and f"[ {app_id} ] -> [ {path} ]" in listed
        and pinged.startswith("ping time ")
        and stats.startswith("MemStats HeapAlloc:")
        and ended == f"shutdown pid {pid}"
        and not psutil.pid_exists(pid)
    )
    return f"ID {app_id}; {pinged}; {stats[:40]}…; {ended}, and the kernel knows no such pid", ok


def _plain(daemon: Daemon) -> tuple[str, bool]:
    with _running(daemon, "plain") as app_id:
        pinged = daemon.say("ping", str(app_id)).strip()
        stats, pid = daemon.say("ru", "-g", str(app_id)).strip(), _pid(daemon, app_id)
        ended = daemon.say("shutdown", str(app_id)).strip()
    return f"{pinged}; {stats[:30]}…; {ended}", "HeapAlloc:313744" in stats and ended == f"shutdown pid {pid}"


def _stranger(daemon: Daemon) -> tuple[str, bool]:
    with _running(daemon, "apptracker") as app_id:
        daemon.say("ping", str(app_id))
        answers = {claimed: play(daemon.signal_address, claimed, [])[:1] for claimed in (app_id, 999)}
        alive = daemon.say("ping", str(app_id)).strip()
    return f"answers to REG {answers}; the owner: {alive}", not any(answers.values())


def _bad_frames(daemon: Daemon) -> tuple[str, bool]:
    bad = {
        "oversize": b"\x01" + bytes(4) + b"\xff\xff\xff\xff",
        "unknown type": b"\x55" * 40,
        "no JSON": b"\x01\0\0\0\1\0\0\0\3\0{x",
        "wrong type": b"\x01\0\0\0\1\0\0\0\x0d\0" + b'{"Id":"two"}',
    }
    with _running(daemon, "apptracker") as app_id:
        daemon.say("ping", str(app_id))
        closed = [name for name, data in bad.items() if _is_closed(daemon.signal_address, data)]
        alive = daemon.say("ping", str(app_id)).strip()
    return f"closed: {', '.join(closed)}; meanwhile {alive}", closed == list(bad)


def _is_closed(address: str, data: bytes) -> bool:
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as link:
        link.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            while link.recv(4096):
                pass
    return True


def _killed(daemon: Daemon) -> tuple[str, bool]:
    with _running(daemon, "apptracker") as one, _running(daemon, "apptracker") as two:
        before = {app_id: _pid(daemon, app_id) for app_id in (one, two)}
        daemon.stop(signal.SIGKILL)
        begin = time.monotonic()
        daemon.start()
        after = {app_id: _pid(daemon, app_id) for app_id in (one, two)}
        daemon.say("ping", str(one))
        took = time.monotonic() - begin
        count = daemon.say("list_apps").count("bin/apptracker")
    return f"ids to pids {before} and {after}; pinged {took:.1f} s later", before == after and count == len(before)


def _crashed(daemon: Daemon) -> tuple[str, bool]:
    with _running(daemon, "steady") as app_id:
        daemon.say("ping", str(app_id))
        before = _pid(daemon, app_id)
        os.kill(before, signal.SIGKILL)
        after = wait_for(lambda: (_pid(daemon, app_id) or before) != before and _pid(daemon, app_id), DEADLINE_S) or 0
        pinged = daemon.say("ping", str(app_id)).strip()
    return f"id {app_id}: pid {before}, killed -9, then pid {after}; {pinged}", after not in {0, before}


def _ways(daemon: Daemon) -> tuple[str, bool]:
    ids = {name: _start(daemon, name) for name in ("apptracker", "echo", "deaf")}
    daemon.say("ping", str(ids["apptracker"]))
    said = {name: daemon.say("shutdown", str(app_id)).strip() for name, app_id in ids.items()}
    seen = "; ".join(f"{name}: {' '.join(text.split()[2:])}" for name, text in said.items())
    return seen, "SIGTERM" in said["echo"] and "SIGKILL" in said["deaf"] and "(" not in said["apptracker"]


def _family(daemon: Daemon) -> tuple[str, bool]:
    with _running(daemon, "family") as app_id:
        leader = _pid(daemon, app_id)
        members = wait_for(lambda: found if len(found := _session(leader)) >= 3 else None, DEADLINE_S) or []
    wait_for(lambda: not _session(leader), REAP_DEADLINE_S)  # init reaps those that lost their parent
    left = _session(leader)
    zombies = [child for child in psutil.Process(daemon.pid).children() if child.status() == psutil.STATUS_ZOMBIE]
    return f"{len(members)} processes, then {len(left)}; zombies {len(zombies)}", len(
        members
    ) >= 3 and not left + zombies


def _session(leader: int) -> list[int]:
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                found.append(pid)
    return found


def _ring(daemon: Daemon) -> tuple[str, bool]:
    with _running(daemon, "chatter") as app_id:
        last = wait_for(
            lambda: "last line" in (said := daemon.say("logs", str(app_id), "-n", "1")) and said, DEADLINE_S
        )
        files = [path for path in (daemon.directory / "state").rglob(f"{app_id}.out") if path.is_file()]
        small = wait_for(lambda: _blocks(files) <= RING_BYTES, DEADLINE_S)
    return f"{_blocks(files) if small is None else 'at most 128 KiB'} on tmpfs; logs: {last}", bool(last and small)


def _blocks(files: list[Path]) -> int:
    return sum(path.stat().st_blocks * 512 for path in files if path.exists())


def _reload(daemon: Daemon) -> tuple[str, bool]:
    file = daemon.directory / "config.yaml"
    good = file.read_text()
    file.write_text(good + "  extra: {path: bin/echo, demon: true}\n")
    refused, listed = daemon.shell("reload"), daemon.say("apps")
    file.write_text(good + "  extra: {path: bin/echo}\n")
    taken = daemon.say("reload").strip()
    ok = (
        refused.returncode == 1
        and "demon" in refused.stderr
        and "extra" not in listed
        and "extra" in daemon.say("apps")
    )
    return f"{refused.stderr.strip().splitlines()[0].rpartition('/')[2]}; then {taken}", ok


def _codes(daemon: Daemon) -> tuple[str, bool]:
    asked = {"status": 0, "ping 999": 1, "ping x": 2, "pnig 2": 2}
    codes = {line: daemon.shell(*line.split()).returncode for line in asked}
    error = json.loads(daemon.shell("--json", "ping", "999").stdout)["error"]["code"]
    return f"{codes}; {error}", codes == asked and error == "no-such-id"


def installed_row(scratch: Path, table: Table) -> None:
    """`pip install .` into an environment of its own, and the command it leaves there."""

    def look() -> tuple[str, bool]:
        place = scratch / "installed"
        subprocess.run([sys.executable, "-m", "venv", place], check=True, timeout=300)
        pip = [str(place / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", str(TREE)]
        subprocess.run(pip, check=True, timeout=900, capture_output=True)
        said = subprocess.run(
            [place / "bin/viscript", "version"], capture_output=True, text=True, timeout=60, check=True
        )
        return f"viscript version: {said.stdout.strip()}", said.stdout.startswith("viscript ")

    table.check("pip install . gives the viscript command", look)
