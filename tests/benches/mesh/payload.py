"""No payload in Python: while a gigabyte goes through a session, what the data calls of all Python processes return is
summed up under strace, and in a run without it their CPU time is taken. A copier in Python stands the same check.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.benches.figures import Figure
from tests.benches.mesh.cpu import of_processes_s
from tests.benches.mesh.progress import tell
from tests.benches.mesh.pump import PORT, Flow, listen, pump
from tests.benches.mesh.real import python_pids, run_mesh
from tests.laboratory.model import By, Ready
from tests.mesh.places import RACK
from tests.mesh.world import World

GIGABYTES = 1.0
DATA_CALLS = (
    *("read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2"),
    *("recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg"),
)
RETURNED = re.compile(r"\) += (\d+)(?: .*)?$")
COPIER_PORT = 5202
DEADLINE_S = 60.0
SOURCE, TARGET = "a", "c"


def bench() -> list[Figure]:
    """About two minutes; needs root."""
    with run_mesh(RACK) as world, world.session_to(SOURCE, TARGET, PORT) as connected:
        tell(f"session over {'-'.join(world.path(SOURCE, TARGET))}")
        listen(world.host(TARGET))
        figures = [*check(world, connected.address, "node and manager", "≤ 1 MB", "≤ 0.2 s")]
        with run_copier(world, connected.address):
            figures += check(world, "127.0.0.1", "a copier in Python", "≥ 1000 MB", "≥ 0.2 s", COPIER_PORT)
    return figures


def check(world: World, address: str, who: str, bytes_aim: str, cpu_aim: str, port: int = PORT) -> list[Figure]:
    pids = python_pids(world.lab)
    before = of_processes_s(pids)
    flow = send(world, address, port)
    used = of_processes_s(pids) - before
    tell(f"{who}: {flow.mbit_s:.0f} Mbit/s, {used:.2f} s of CPU in {len(pids)} Python processes")
    idle = idle_s(pids, flow.seconds)
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder:
        log = Path(folder, "calls")
        with traced(pids, log):
            send(world, address, port)
        moved = sum(returned(log.read_text().splitlines())) / 1e6
    tell(f"{who}: {moved:.2f} MB in data calls")
    during = f"while {GIGABYTES:g} GB goes by"
    lasted = f"it took {flow.seconds:.0f} s, in which nodes probe their ways"
    return [
        Figure(f"{who}: data calls of {len(pids)} Python processes {during}", bytes_aim, moved, "MB", lasted),
        Figure(
            f"{who}: CPU of the Python processes {during}", cpu_aim, used, "s",
            f"the same in {flow.seconds:.0f} s without traffic: {idle:.2f} s",
        ),
    ]  # fmt: skip


def send(world: World, address: str, port: int) -> Flow:
    namespaces = [world.lab.namespace(name) for name in world.lab.network.nodes]
    return pump(world.host(SOURCE), address, streams=1, namespaces=namespaces, gigabytes=GIGABYTES, port=port)


def idle_s(pids: list[int], seconds: float) -> float:
    before = of_processes_s(pids)
    time.sleep(seconds)
    return of_processes_s(pids) - before


@contextlib.contextmanager
def run_copier(world: World, address: str) -> Iterator[None]:
    host = world.host(SOURCE)
    words = [sys.executable, "-m", "tests.benches.mesh.copier", str(COPIER_PORT), address, str(PORT)]
    job = host.start(words, name="copier", ready=Ready(By.LINE, "listening"))
    try:
        yield
    finally:
        job.kill()


@contextlib.contextmanager
def traced(pids: list[int], log: Path) -> Iterator[None]:
    """The log is whole once the context is left."""
    words = ["strace", "-f", "-qq", "-s0", "-o", str(log), "-e", f"trace={','.join(DATA_CALLS)}"]
    tracer = subprocess.Popen([*words, *(f"-p{pid}" for pid in pids)], start_new_session=True)
    try:
        await_traced(pids)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(DEADLINE_S)


def await_traced(pids: list[int]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not all(is_traced(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise TimeoutError(f"strace did not attach in {DEADLINE_S:g} s")
        time.sleep(0.05)


def is_traced(pid: int) -> bool:
    threads = [Path(entry.path, "status").read_text() for entry in os.scandir(f"/proc/{pid}/task")]
    return all("TracerPid:\t0\n" not in status for status in threads)


def returned(lines: Iterable[str]) -> Iterator[int]:
    """What each call returned; errors and calls that never ended count nothing."""
    for line in lines:
        found = RETURNED.search(line)
        if found:
            yield int(found[1])
