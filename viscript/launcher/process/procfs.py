"""What the kernel says of a process: its identity over time, its end, and what it uses. Linux only, read-
only.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import msgspec
import psutil

from viscript.launcher.model import Process, Usage

PROC = Path("/proc")
SAMPLE_S = 0.2


def read_process(pid: int) -> Process | None:
    """The process as it is now; None when there is none or only its zombie is left."""
    try:
        fields = PROC.joinpath(str(pid), "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    state, start_ticks = fields[0], int(fields[19])
    return None if state in {b"Z", b"X"} else Process(pid, start_ticks)


def is_running(process: Process) -> bool:
    return read_process(process.pid) == process


async def wait_exit(process: Process) -> None:
    """Return when that very process has ended, whoever its parent is. No polling: a pidfd becomes readable."""
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    try:
        # Looked at after opening: the descriptor then cannot belong to a later process of the same number.
        if not is_running(process):
            return
        loop.add_reader(fd, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def measure(process: Process) -> Usage | None:
    """CPU over a fifth of a second, the rest as it is now; None when the process is gone."""
    before, since = _read_tree(process), time.monotonic()
    await asyncio.sleep(SAMPLE_S)
    after, passed_s = _read_tree(process), time.monotonic() - since
    if before is None or after is None:
        return None
    percent = max(after.cpu_s - before.cpu_s, 0) / passed_s * 100
    return msgspec.structs.replace(after, cpu_percent=round(percent, 1))


def _read_tree(process: Process) -> Usage | None:
    if not is_running(process):
        return None
    try:
        leader = psutil.Process(process.pid)
        members = [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    cpu_s, rss, threads, count = 0.0, 0, 0, 0
    for member in members:
        try:
            with member.oneshot():
                times = member.cpu_times()
                cpu_s += times.user + times.system
                rss += member.memory_info().rss
                threads += member.num_threads()
                count += 1
        except psutil.NoSuchProcess:
            continue
    ticks_s = process.start_ticks / os.sysconf("SC_CLK_TCK")
    uptime_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks_s
    return Usage(process.pid, 0.0, round(cpu_s, 2), rss, threads, count, round(uptime_s, 1))
