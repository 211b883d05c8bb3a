"""Every process of the machine in one pass over /proc, and who belongs together. Read-only."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import msgspec

from viscript.launcher.model import Process

PROC = Path("/proc")


class Stat(msgspec.Struct, frozen=True):
    """One process. Ticks are those of SC_CLK_TCK: of CPU used, children's that were waited for included, and of
    the start since boot.
    """

    pid: int
    parent: int
    session: int
    cpu_ticks: int
    threads: int
    start_ticks: int
    rss: int


def read_stat(pid: int) -> Stat | None:
    """None when there is no such process or only its zombie is left."""
    try:
        data = PROC.joinpath(str(pid), "stat").read_bytes()
    except OSError:
        return None
    fields = data.rpartition(b")")[2].split()
    if len(fields) < 22 or fields[0] in {b"Z", b"X"}:
        return None
    numbers = [int(field) for field in fields[1:22]]
    rss = numbers[20] * os.sysconf("SC_PAGESIZE")
    return Stat(pid, numbers[0], numbers[2], sum(numbers[10:14]), numbers[16], numbers[18], rss)


def read_all() -> dict[int, Stat]:
    """Every process of the machine, in one pass."""
    with os.scandir(PROC) as entries:
        pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
    found = (read_stat(pid) for pid in pids)
    return {stat.pid: stat for stat in found if stat is not None}


def read_families(stats: dict[int, Stat], leaders: tuple[Process, ...]) -> list[tuple[Stat, ...]]:
    """For each leader, itself and all that is in its session or descends from it; nothing when it is gone."""
    children: dict[int, list[int]] = defaultdict(list)
    sessions: dict[int, list[int]] = defaultdict(list)
    for stat in stats.values():
        children[stat.parent].append(stat.pid)
        sessions[stat.session].append(stat.pid)
    families = []
    for leader in leaders:
        found = stats.get(leader.pid)
        members: dict[int, Stat] = {}
        left = [leader.pid, *sessions[leader.pid]] if found and found.start_ticks == leader.start_ticks else []
        while left:
            pid = left.pop()
            if pid not in members:
                members[pid] = stats[pid]
                left.extend(children[pid])
        families.append(tuple(members.values()))
    return families


def read_user(pid: int) -> int | None:
    """The effective user id a process has; None when it is gone."""
    try:
        lines = PROC.joinpath(str(pid), "status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("Uid:")), None)
    return int(found.split()[2]) if found else None
