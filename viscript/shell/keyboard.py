"""The terminal's own modes, for commands that talk while something runs. Whatever happens, the terminal is left as it
was found.
"""

from __future__ import annotations

import os
import select
import signal as process_signals
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CTRL_C, CTRL_D, CTRL_Z, ESCAPE = b"\x03", b"\x04", b"\x1a", b"\x1b"
_INPUT, _LOCAL, _SPECIAL = 0, 3, 6
"""Places in what tcgetattr gives."""

LONGEST_LINE = 4096
"""Bytes the kernel keeps of a line that is being typed."""


@contextmanager
def typed_lines() -> Iterator[int]:
    """Lines with the terminal's own editing; Ctrl+Z and Ctrl+C end a line at once and raise no signal. Yields what to
    read from.
    """

    def change(mode: list[Any]) -> None:
        mode[_LOCAL] = (mode[_LOCAL] | termios.ICANON | termios.IEXTEN) & ~termios.ISIG
        mode[_SPECIAL][termios.VEOL], mode[_SPECIAL][termios.VEOL2] = CTRL_Z, CTRL_C

    with _changed(change) as terminal:
        yield terminal


@contextmanager
def unseen_lines() -> Iterator[int]:
    """Lines that are not shown. What is pasted beyond the first one is not thrown away, as getpass does."""

    def change(mode: list[Any]) -> None:
        mode[_LOCAL] = (mode[_LOCAL] | termios.ICANON | termios.ISIG) & ~termios.ECHO

    with _changed(change) as terminal:
        yield terminal


@contextmanager
def single_keys() -> Iterator[int]:
    """Each key at once and unseen; none raises a signal. Yields what to read from."""

    def change(mode: list[Any]) -> None:
        mode[_LOCAL] &= ~(termios.ICANON | termios.ECHO | termios.ISIG)
        mode[_SPECIAL][termios.VMIN], mode[_SPECIAL][termios.VTIME] = 1, 0

    with _changed(change) as terminal:
        yield terminal


def wait_key(terminal: int, seconds: float) -> bytes:
    """The keys pressed meanwhile, none when the time is over; Ctrl+D when the terminal is gone."""
    if not select.select([terminal], [], [], seconds)[0]:
        return b""
    return read_typed(terminal) or CTRL_D


def read_typed(terminal: int) -> bytes:
    """What was typed; nothing at the end of input, be it Ctrl+D or a terminal that is gone."""
    try:
        return os.read(terminal, LONGEST_LINE)
    except OSError:
        return b""


@contextmanager
def _changed(change: Callable[[list[Any]], None]) -> Iterator[int]:
    terminal = sys.stdin.fileno()
    before, mode = termios.tcgetattr(terminal), termios.tcgetattr(terminal)
    change(mode)
    former = process_signals.signal(process_signals.SIGTERM, _leave)
    try:
        termios.tcsetattr(terminal, termios.TCSADRAIN, mode)
        yield terminal
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
        process_signals.signal(process_signals.SIGTERM, former)


def _leave(number: int, _frame: object) -> None:
    """So that what stands in `finally` is done."""
    sys.exit(128 + number)
