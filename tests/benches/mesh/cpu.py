"""The CPU time of the whole machine, without what other people's processes used meanwhile on a shared one.

Busy is every tick that was neither idle nor stolen, interrupts too, so no work is left out because it was done in
somebody's name; from it the time of all processes outside the bench's own namespaces is taken off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.laboratory.sweep import inside

TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Use:
    """Seconds of CPU. `others` is the share of the machine that others took."""

    seconds: float
    others: float


class Stopwatch:
    """Counts from its making on."""

    def __init__(self, namespaces: list[str]) -> None:
        self._namespaces = namespaces
        self._uptime, self._busy, self._others = self._now()

    def read(self) -> Use:
        uptime, busy, others = self._now()
        taken = max(0.0, others - self._others)
        elapsed = max(uptime - self._uptime, 1e-9)
        return Use(max(0.0, busy - self._busy - taken), taken / elapsed / CORES)

    def _now(self) -> tuple[float, float, float]:
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return uptime, busy_s(Path("/proc/stat").read_text()), others_s(self._namespaces)


def busy_s(stat: str) -> float:
    """From the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal."""
    fields = [int(field) for field in stat.split("\n", 1)[0].split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:7])) / TICKS


def others_s(namespaces: list[str]) -> float:
    """With their collected children's, so that the sum loses nothing where a process ends."""
    own = {*inside(namespaces), os.getpid()}
    return sum(used_s(fields) for pid, fields in processes() if pid not in own and not is_kernels(pid, fields))


def processes() -> Iterator[tuple[int, list[str]]]:
    """The fields of /proc/PID/stat from the state on."""
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                text = Path(entry.path, "stat").read_text()
            except OSError:
                continue
            yield int(entry.name), text.rpartition(")")[2].split()


def is_kernels(pid: int, fields: list[str]) -> bool:
    return pid == 2 or fields[1] == "2"


def used_s(fields: list[str]) -> float:
    return sum(int(field) for field in fields[11:15]) / TICKS


def of_processes_s(pids: list[int]) -> float:
    """User and system time of these processes, by the scheduler's own clock, finer than the ticks of `stat`."""
    total = 0
    for pid in pids:
        total += sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return total / 1e9
