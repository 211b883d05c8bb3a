"""What a Python process answers to TOP: Go's runtime.MemStats names, filled with the nearest true value.

Read from /proc/self/status, so that an application need not load psutil for it; elsewhere only the peak is
known. Fields of Go's allocator that have no counterpart are left out, which Go's own decoder reads as zero.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def read_memstats() -> dict[str, int]:
    """Bytes, except HeapObjects and NumGC, which count."""
    sizes = read_sizes()
    resident = sizes.get("RssAnon", sizes.get("VmRSS", 0))
    data, stack = sizes.get("VmData", resident), sizes.get("VmStk", 0)
    return {
        "Alloc": resident,
        "Sys": sizes.get("VmRSS", resident),
        "HeapAlloc": resident,
        "HeapSys": data,
        "HeapIdle": max(data - resident, 0),
        "HeapInuse": resident,
        "HeapObjects": sys.getallocatedblocks(),
        "StackSys": stack,
        "StackInuse": stack,
        "NumGC": sum(generation["collections"] for generation in gc.get_stats()),
    }


def read_sizes() -> dict[str, int]:
    """The lines of the status file that are in kB, as bytes."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return _read_peak()
    words = (line.split() for line in lines if line.endswith(" kB"))
    return {name.removesuffix(":"): int(size) * 1024 for name, size, _ in words}


def _read_peak() -> dict[str, int]:
    import resource  # noqa: PLC0415 (only where there is no /proc)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"VmRSS": peak if sys.platform == "darwin" else peak * 1024}
