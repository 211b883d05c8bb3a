"""The rows of two boards with networks of their own: who commands whom, and what is told of a board that is gone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.boot.rows import Table, wait_for
from tests.viscript.cluster.rack import ADDRESSES, PORT, Rack, run_rack

DEADLINE_S = 60
NAMED_WITHIN_S = 10
STRANGER = """
import socket, sys
link = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
link.sendall(b'{"id":1,"request":{"do":"status"}}\\n')
print(link.makefile().readline())
"""


def cluster_rows(scratch: Path, table: Table) -> None:
    """pi-1 is among pi-2's operators, and not the other way round."""
    with run_rack(scratch) as rack:
        table.check("nodes lists both boards with their round trip", lambda: _nodes(rack))
        table.check("on all status answers for both", lambda: _status(rack))
        table.check("an id on another board is named node/id", lambda: _ping(rack))
        table.check("deploy adds the app there, and a restart of that viscript starts it", lambda: _deploy(rack))
        table.check("who is no operator is refused", lambda: _strangers(rack))
        table.check("a hung board is named in time and holds up nobody", lambda: _hung(rack))


def _nodes(rack: Rack) -> tuple[str, bool]:
    said = rack.operator.say("nodes")
    return said, "pi-1" in said and "pi-2" in said and ADDRESSES["pi-2"] in said


def _status(rack: Rack) -> tuple[str, bool]:
    found = json.loads(rack.operator.say("--json", "on", "all", "status"))
    pids = {node: answer.get("pid") for node, answer in found.items()}
    return f"daemons' pids {pids}", pids == {"pi-1": rack.operator.pid, "pi-2": rack.other.pid}


def _ping(rack: Rack) -> tuple[str, bool]:
    started = rack.operator.say("on", "pi-2", "start", "apptracker")
    app_id = started.split("ID: ")[1].split(",")[0]
    said = rack.operator.say("ping", f"pi-2/{app_id}").strip()
    ended = rack.operator.say("shutdown", f"@pi-2/{app_id}").strip()
    return f"$ ping pi-2/{app_id}: {said}; {ended}", "ping time" in said and "shutdown pid" in ended


def _deploy(rack: Rack) -> tuple[str, bool]:
    said = rack.operator.say("deploy", "apptracker", "pi-2").strip()
    before = rack.other.say("list_apps").strip()
    for line in before.splitlines():
        rack.other.say("shutdown", line.split()[1])
    rack.other.stop()
    rack.other.start()
    back = wait_for(lambda: "bin/apptracker" in rack.other.say("list_apps"), DEADLINE_S)
    return f"{said}; there {before}; after its end and a new daemon it runs: {bool(back)}", bool(back)


def _strangers(rack: Rack) -> tuple[str, bool]:
    back = rack.other.shell("on", "pi-1", "status")
    inside = ["ip", "netns", "exec", rack.namespace("pi-2"), sys.executable, "-c", STRANGER]
    words = [*inside, ADDRESSES["pi-2"], str(PORT)]
    own = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=False).stdout.strip()
    seen = f"pi-2 commands pi-1: exit {back.returncode}, {back.stderr or back.stdout}; a program on pi-2 itself: {own}"
    return seen, back.returncode == 1 and '"error"' in own and '"result"' not in own


def _hung(rack: Rack) -> tuple[str, bool]:
    os.kill(rack.other.pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        done = rack.operator.shell("on", "all", "status")
        took = time.monotonic() - begin
    finally:
        os.kill(rack.other.pid, signal.SIGCONT)
    named = "pi-2" in done.stderr + done.stdout and f"pid {rack.operator.pid}" in done.stdout
    return f"{took:.1f} s; {done.stderr.strip() or done.stdout[-80:]}", named and took < NAMED_WITHIN_S
