"""Keeps private bytes out of sight: a holder that shows, copies and pickles nothing, and a process that nobody but
root may look into.

What it cannot do: Python and libsodium's binding make short-lived copies that only the garbage collector ends, so
`wipe` shortens a secret's life and is no promise. What holds is `hide_process`: no core dump, no debugger.
"""

from __future__ import annotations

import ctypes
import hmac
import os
import resource
from typing import NoReturn, Self

SECRET_BYTES = 32

_PR_SET_DUMPABLE = 4


class Secret:
    """32 private bytes."""

    __slots__ = ("_bytes", "_wiped")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, data: bytes | bytearray) -> None:
        if len(data) != SECRET_BYTES:
            raise ValueError(f"a secret has {SECRET_BYTES} bytes, not {len(data)}")
        self._bytes = bytearray(data)
        self._wiped = False

    def reveal(self) -> bytes:
        """The bytes themselves: hand them to a door, keep them in no variable."""
        if self._wiped:
            raise ValueError("this secret was wiped")
        return bytes(self._bytes)

    def wipe(self) -> None:
        """Overwrites what this object holds; from then on it reveals nothing."""
        self._bytes[:] = bytes(SECRET_BYTES)
        self._wiped = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._bytes, other._bytes)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")


def hide_process() -> None:
    """No core dump, and neither ptrace nor /proc/self/mem for others: call it before a secret is read.

    An exec undoes it, a fork does not. A process that is not root's afterwards finds its own /proc/self/environ,
    io and mem owned by root.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    if prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"cannot forbid core dumps: {os.strerror(ctypes.get_errno())}")
