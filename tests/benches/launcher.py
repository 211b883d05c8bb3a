"""What the shell costs, what the daemon weighs with twenty programs, and how long a crashed program is away.

Real processes: CPU is the kernel's account of the child, memory is the daemon's resident set.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.benches.figures import Figure
from tests.viscript.daemon import Daemon, run_daemon
from viscript.api.client import ApiClient
from viscript.api.model import ListRunning, RunningApp, RunningApps, Start

ROUNDS = 15
CRASHES = 9
PROGRAMS = 20
DEADLINE_S = 60.0
CONFIG = """
apps:
  apptracker: {daemon: true, path: bin/apptracker, default_args: ["127.0.0.1:0"]}
  steady: {daemon: true, path: bin/apptracker, default_args: ["127.0.0.1:0"], restart: always}
"""
REGISTER = "from viscript.signal import SignalClient; import asyncio, services.apptracker.server"


def bench() -> list[Figure]:
    """Median figures; runs for about a minute."""
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder, run_daemon(Path(folder), CONFIG) as daemon:
        return [_measure_shell(daemon), _measure_crashes(daemon), _measure_memory(daemon)]


def _measure_shell(daemon: Daemon) -> Figure:
    apps, bare = [], []
    for _ in range(ROUNDS):
        apps.append(_cpu_s(daemon, "-m", "viscript", "apps"))
        bare.append(_cpu_s(daemon, "-c", "import click"))
    peer = f"python -c 'import click': {statistics.median(bare) * 1e3:.0f} ms"
    return Figure("'viscript apps', exec to output, CPU", "≤ 150 ms", statistics.median(apps) * 1e3, "ms", peer)


def _cpu_s(daemon: Daemon, *words: str) -> float:
    """CPU seconds, user and system, of a Python process from exec to exit."""
    child = subprocess.Popen([sys.executable, *words], env=daemon.environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, words
    return used.ru_utime + used.ru_stime


def _measure_crashes(daemon: Daemon) -> Figure:
    """From kill -9 to the next process's registration; beside it how long the program takes to load by itself."""
    away, loads = [], []
    with daemon.api() as api:
        app = api.call(Start("steady"), RunningApp)
        for _ in range(CRASHES):
            before = _await_up(api, app.id, 0)
            daemon_free = time.perf_counter()
            os.kill(before, signal.SIGKILL)
            _await_up(api, app.id, before)
            away.append(time.perf_counter() - daemon_free)
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", REGISTER], env=daemon.environment, check=True, timeout=DEADLINE_S)
            loads.append(time.perf_counter() - begin)
            daemon.say("restart", str(app.id))  # a person's restart makes good for what failed
        daemon.say("shutdown", str(app.id))
    peer = f"python loading the same program: {statistics.median(loads) * 1e3:.0f} ms"
    return Figure("crash to restarted and registered", "≤ 300 ms", statistics.median(away) * 1e3, "ms", peer)


def _await_up(api: ApiClient, app_id: int, before: int) -> int:
    """The pid of the application once it is registered under another pid than `before`."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        for app in api.call(ListRunning(), RunningApps).apps:
            if app.id == app_id and app.connected and app.pid not in {0, before}:
                return app.pid
        time.sleep(0.002)
    raise TimeoutError(f"program {app_id} did not come up within {DEADLINE_S:g} s")


def _measure_memory(daemon: Daemon) -> Figure:
    with daemon.api() as api:
        started = [api.call(Start("apptracker"), RunningApp) for _ in range(PROGRAMS)]
        for app in started:
            _await_up(api, app.id, 0)
        resident = psutil.Process(daemon.pid).memory_info().rss
    bare = subprocess.run(
        [sys.executable, "-c", "import asyncio, os, psutil; print(psutil.Process().memory_info().rss)"],
        env=daemon.environment, capture_output=True, text=True, check=True, timeout=DEADLINE_S,
    )  # fmt: skip
    peer = f"python -c 'import asyncio': {int(bare.stdout) / 1e6:.1f} MB"
    return Figure(f"daemon's RSS with {PROGRAMS} programs", "≤ 40 MB", resident / 1e6, "MB", peer)
