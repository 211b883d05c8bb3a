"""What this very process uses, from /proc/self and the process's own clocks; no psutil, which an application
would have to load for it. Elsewhere than on Linux most of it is unknown, and said to be.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from viscript.signal.memstats import read_sizes
from viscript.signal.model import OwnUsage

SELF = Path("/proc/self")
_LOADED_AT = time.monotonic()


def read_own_usage() -> OwnUsage:
    """May take some milliseconds in a large process: PSS is counted page by page."""
    traffic = _read_numbers("io")
    return OwnUsage(
        pid=os.getpid(),
        cpu_s=time.process_time(),
        uptime_s=_read_uptime(),
        threads=_count("task") or threading.active_count(),
        rss=read_sizes().get("VmRSS", 0),
        pss=_read_pss(),
        open_files=_count("fd"),
        bytes_in=traffic.get("rchar"),
        bytes_out=traffic.get("wchar"),
    )


def _count(folder: str) -> int | None:
    try:
        return sum(1 for _ in (SELF / folder).iterdir())
    except OSError:
        return None


def _read_pss() -> int | None:
    kib = _read_numbers("smaps_rollup").get("Pss")
    return None if kib is None else kib * 1024


def _read_numbers(name: str) -> dict[str, int]:
    """Lines such as `Pss:  312 kB` and `rchar: 1948`; empty when the kernel does not say."""
    try:
        lines = (SELF / name).read_text().splitlines()
    except OSError:
        return {}
    words = (line.split() for line in lines)
    return {word[0].removesuffix(":"): int(word[1]) for word in words if len(word) > 1 and word[1].isdigit()}


def _read_uptime() -> float:
    """Since the process began; where that is not known, since this module was loaded."""
    try:
        fields = (SELF / "stat").read_bytes().rpartition(b")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.monotonic() - _LOADED_AT
