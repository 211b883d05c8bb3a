"""Starts the daemon that a person's shell misses. Only for a workstation: on a board the supervisor does it, and the
restricted login never loads this.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from viscript.errors import DaemonAwayError
from viscript.paths import user_history

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE_S = 30.0
LOOK_INTERVAL_S = 0.05
TOLD_LINES = 5


def start_daemon(path: Path, deadline_s: float = DEADLINE_S) -> None:
    """Start `viscript headless`, which outlives us, and return when it listens. Raises DaemonAwayError with what it
    said.
    """
    log = user_history().with_name("daemon.log")
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with log.open("wb") as file:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "viscript", "headless", "--socket", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
    except OSError as error:
        raise DaemonAwayError(f"cannot start viscript: {error}") from error
    end = time.monotonic() + deadline_s
    while not _listens(path):
        if daemon.poll() is not None:
            raise DaemonAwayError(f"viscript has ended at once (see '{log}'):\n{_last_lines(log)}")
        if time.monotonic() > end:
            daemon.kill()
            daemon.wait()
            raise DaemonAwayError(f"viscript did not listen within {deadline_s:g} s and was ended (see '{log}')")
        time.sleep(LOOK_INTERVAL_S)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-TOLD_LINES:])
