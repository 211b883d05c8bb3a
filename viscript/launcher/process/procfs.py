"""What the kernel says of a process: its identity over time, its end, and what it uses. Linux only, read-only.

What only the owner may know (memory in fair shares, open files, bytes read and written) is None for a
program of another user: viscript has no right over the applications of a board.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import psutil

from viscript.launcher.model import Process, Usage
from viscript.launcher.process.families import read_all, read_families, read_stat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from viscript.launcher.process.families import Stat

SAMPLE_S = 0.2


def read_process(pid: int) -> Process | None:
    """The process as it is now; None when there is none or only its zombie is left."""
    stat = read_stat(pid)
    return None if stat is None else Process(pid, stat.start_ticks)


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
    return (await measure_all((process,)))[0]


async def measure_all(processes: Iterable[Process]) -> list[Usage | None]:
    """The same for many at once, in their order, for the price of little more than one."""
    leaders = tuple(processes)
    before = [_cpu_s(family) for family in read_families(read_all(), leaders)]
    since = time.monotonic()
    await asyncio.sleep(SAMPLE_S)
    families, passed_s = read_families(read_all(), leaders), time.monotonic() - since
    return [
        _sum_up(leader, family, max(_cpu_s(family) - earlier, 0) / passed_s * 100) if family else None
        for leader, family, earlier in zip(leaders, families, before, strict=True)
    ]


def _cpu_s(family: tuple[Stat, ...]) -> float:
    return sum(member.cpu_ticks for member in family) / os.sysconf("SC_CLK_TCK")


def _sum_up(leader: Process, family: tuple[Stat, ...], cpu_percent: float) -> Usage:
    started_s = leader.start_ticks / os.sysconf("SC_CLK_TCK")
    return Usage(
        pid=leader.pid,
        cpu_percent=round(cpu_percent, 1),
        cpu_s=round(_cpu_s(family), 2),
        rss=sum(member.rss for member in family),
        threads=sum(member.threads for member in family),
        processes=len(family),
        uptime_s=round(time.clock_gettime(time.CLOCK_BOOTTIME) - started_s, 1),
        pss=_total(family, lambda member: member.memory_full_info().pss),
        open_files=_total(family, lambda member: member.num_fds()),
        # What went through read(2) and write(2), files and pipes alike, as /proc/PID/io counts it.
        read_bytes=_total(family, lambda member: member.io_counters().read_chars),
        written_bytes=_total(family, lambda member: member.io_counters().write_chars),
    )


def _total(family: tuple[Stat, ...], read: Callable[[psutil.Process], int]) -> int | None:
    """The sum over those that still are; None as soon as one must not be looked into, for a part would mislead."""
    total = 0
    for member in family:
        try:
            total += read(psutil.Process(member.pid))
        except psutil.NoSuchProcess:
            continue
        except (psutil.AccessDenied, OSError):
            return None
    return total
