"""One program at a time in a folder: two of them would undo each other's work in the kernel."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(folder: Path, program: str, error: Callable[[str], Exception]) -> Iterator[None]:
    """As long as this lasts; the kernel lets go of it however the program ends. The folder is made where it is missing.
    Raises what `error` makes.
    """
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as trouble:
        raise error(f"cannot use folder '{folder}': {trouble.strerror} (set another: ram)") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise error(f"{program} runs already with folder '{folder}' (stop it first)") from None
    try:
        yield
    finally:
        os.close(file)
