"""Applications as process groups of our own user: for workstations, laboratories and tests.

A program gets a session of its own, so that viscript's death and the terminal's Ctrl+C do not reach it, and
its output goes to a bounded file. A program that leaves its group by a double fork escapes this backend;
`unit` has no such hole.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal as process_signals
import subprocess
from typing import TYPE_CHECKING

import psutil

from viscript.errors import StartError
from viscript.launcher.model import Process, Signal
from viscript.launcher.process.door import Exit, Found
from viscript.launcher.process.procfs import is_running, read_process, wait_exit
from viscript.launcher.process.ring import Ring

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from viscript.launcher.model import Launch, Record
    from viscript.signal.model import Peer

log = logging.getLogger(__name__)

TRIM_INTERVAL_S = 5.0
MARK = "VISCRIPT_APP"
"""Variable that tells a program of ours from all others, should its pid not have been noted."""
OWN_VARIABLES = (
    "NOTIFY_SOCKET",
    "WATCHDOG_",
    "LISTEN_",
    "VISCRIPT_",
    "SIGNAL_",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
)


class GroupBackend:
    """Keeps the programs' output files in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    async def start(self, launch: Launch) -> Process:
        app = launch.app
        if app.memory_max or app.cpu_weight:
            log.warning("%s: memory_max and cpu_weight need systemd and are not enforced here", app.name)
        output = self._ring(launch.id).open()
        try:
            child = subprocess.Popen(  # noqa: ASYNC220 (quick; asyncio's own would end with us)
                launch.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=app.cwd,
                env=_inherited() | app.env | launch.env | {MARK: str(self._ring(launch.id).path)},
            )
        except (OSError, ValueError) as error:
            self._ring(launch.id).remove()
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise StartError(f"cannot start '{launch.command[0]}': {reason}") from error
        finally:
            os.close(output)
        self._children[child.pid] = child
        process = read_process(child.pid)
        # A zombie of ours keeps its number: the watcher then reports the exit as of any other program.
        return process if process is not None else Process(child.pid, 0)

    async def withdraw(self, app_id: int) -> None:
        """Nothing to end: a start here is done at once or not at all."""

    async def find(self, records: Iterable[Record]) -> list[Found]:
        found = []
        for record in records:
            process = record.process or _find_by_mark(str(self._ring(record.id).path))
            if process is not None and is_running(process):
                found.append(Found(record.id, record.app, process))
            elif process is not None:
                _kill_left_members(process.pid)
                self._ring(record.id).remove()
        return found

    async def kill(self, app_id: int, process: Process, signal: Signal) -> None:
        del app_id
        number = process_signals.SIGTERM if signal is Signal.TERM else process_signals.SIGKILL
        if is_running(process):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

    async def wait_gone(self, app_id: int, process: Process) -> Exit:
        ring = self._ring(app_id)
        ended = asyncio.ensure_future(wait_exit(process))
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=TRIM_INTERVAL_S)
                ring.trim()
        finally:
            ended.cancel()
        _kill_left_members(process.pid)
        child = self._children.pop(process.pid, None)
        code = child.wait() if child is not None else None
        lines = ring.last_lines(3)
        ring.remove()
        return Exit(code, lines)

    def owns(self, peer: Peer, record: Record) -> bool:
        """A socket does not tell its process group; that the id was given out and runs is all that is known
        here.
        """
        del peer
        return record.process is None or is_running(record.process)

    def close(self) -> None:
        for child in self._children.values():
            child.returncode = 0  # they are meant to outlive us: keeps Popen from warning about it
        self._children.clear()

    def _ring(self, app_id: int) -> Ring:
        return Ring(self._directory / f"{app_id}.out")


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}


def _kill_left_members(group: int) -> None:
    """End what a program left behind in its group. Looked at before signalling: the number may be someone
    else's.
    """
    for process in psutil.process_iter():
        try:
            if process.pid != group and os.getpgid(process.pid) == group == os.getsid(process.pid):
                process.kill()
        except (psutil.Error, OSError):
            continue


def _find_by_mark(mark: str) -> Process | None:
    """The program of a start that was cut short before its pid was noted, by the mark in its environment."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                return read_process(os.getsid(process.pid))
        except (psutil.Error, OSError):
            continue
    return None
