"""Figures and tables as text of 80 columns. Pure; colours are added by whoever knows that it writes to a
terminal.
"""

from __future__ import annotations

import re

from viscript.api.model import RunningApp
from viscript.launcher.model import Ended

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Text from a configuration or a program without what could steer a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def line(text: str) -> str:
    """The same as one line, so that no text looks like another row."""
    return " ".join(plain(text).split("\n")).rstrip()


def tame(text: str) -> str:
    """A program's output as lines that steer no terminal: its colours are left out, what it drew over stays."""
    return plain(_COLOURS.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def ending(ended: Ended) -> str:
    """How a run ended: `exit 3`, `signal 9 (SIGKILL)`."""
    if ended.code is None:
        how = "ended, nobody saw how"
    elif ended.code >= 0:
        how = f"exit {ended.code}"
    else:
        how = f"signal {-ended.code}{_name_signal(-ended.code)}"
    return f"{how}, given up after several tries" if ended.given_up else how


def _name_signal(number: int) -> str:
    import signal as process_signals  # noqa: PLC0415 (rarely needed)

    try:
        return f" ({process_signals.Signals(number).name})"
    except ValueError:
        return ""


def added(started: RunningApp) -> str:
    """The original's line, which scripts take the id from."""
    return f"Added external app (ID: {started.id}, Command: {line(' '.join(started.command))})"


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
