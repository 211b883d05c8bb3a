"""The door to the raw card: reads both copies of the boot state, writes the one that does not count.

Programs that change it come one after the other: they lock the card's device for it.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from skywire_board.bootstate.codec import SECTOR_BYTES, SECTORS, BootState, Found, choose, render
from skywire_board.errors import BootStateError


def read_state(device: Path) -> Found:
    """The boot state of a card or an image file."""
    try:
        fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            first, second = (os.pread(fd, SECTOR_BYTES, sector * SECTOR_BYTES) for sector in SECTORS)
        finally:
            os.close(fd)
    except OSError as error:
        raise BootStateError(f"cannot read the boot state of '{device}': {error.strerror}") from error
    if len(second) != SECTOR_BYTES:
        raise BootStateError(f"'{device}' is too small for a boot state at sector {SECTORS[1]}")
    return choose((first, second))


def write_state(device: Path, state: BootState) -> BootState:
    """Write `state` with the next number into the copy that does not count; back when it is on the card."""
    found = read_state(device)
    state = replace(state, seq=found.state.seq + 1 if found.state else 1)
    try:
        fd = os.open(device, os.O_WRONLY | os.O_SYNC | os.O_CLOEXEC)
        try:
            written = os.pwrite(fd, render(state), found.free_sector * SECTOR_BYTES)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise BootStateError(f"cannot write the boot state of '{device}': {error.strerror}") from error
    if written != SECTOR_BYTES:
        raise BootStateError(f"wrote {written} of {SECTOR_BYTES} bytes of the boot state of '{device}'")
    return state


def change_state(device: Path, change: Callable[[BootState], BootState]) -> tuple[BootState, bool]:
    """The state after `change`, and whether it had to be written; nobody else changes it meanwhile."""
    with alone(device):
        old = read_state(device).state
        new = change(old or BootState())
        return (write_state(device, new), True) if new != old else (new, False)


@contextmanager
def alone(device: Path) -> Iterator[None]:
    try:
        fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BootStateError(f"cannot read the boot state of '{device}': {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
