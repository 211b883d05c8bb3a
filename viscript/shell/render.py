"""Figures and tables as text of 80 columns. Pure; colours are added by whoever knows that it writes to a
terminal.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Text from a configuration or a program without what could steer a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def quantity(size: int) -> str:
    """Bytes with a binary unit: `12.3 MiB`."""
    value = float(size)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 5 s`, `2 h 7 min`, `3 d 4 h`."""
    whole = int(seconds)
    for size, unit, below, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // below} {small}"
    return f"{whole} s"


def latency(seconds: float) -> str:
    """As Go prints a duration: `850µs`, `1.2ms`, `2.5s`."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f}µs"
    return f"{seconds * 1e3:.1f}ms" if seconds < 1 else f"{seconds:.1f}s"


def pairs(rows: list[tuple[str, str]]) -> tuple[str, ...]:
    """Names padded to one column, then values."""
    width = max((len(name) for name, _ in rows), default=0)
    return tuple(f"{name:<{width}}  {value}".rstrip() for name, value in rows)
