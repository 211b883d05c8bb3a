"""All processes of an application that runs as a process group, wherever they have gone since.

They are told by their session, or by a variable that they inherited and that names their application: a
double fork sheds its parent, and setsid the session, but neither sheds the environment. Good for ending what
is ours; not for believing anybody, as everyone can set a variable.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from viscript.launcher.process.families import PROC, read_all, read_stat

if TYPE_CHECKING:
    from viscript.launcher.model import Process

MARK = "VISCRIPT_APP"
KILL_DEADLINE_S = 5.0
_PAUSE_S = 0.01


class Kin:
    """The processes of the application with that leader (None if it is not known) and that mark."""

    def __init__(self, leader: Process | None, mark: str) -> None:
        self._leader = leader
        self._variable = f"{MARK}={mark}".encode()

    def find(self) -> list[int]:
        stats = read_all()
        session = self._leader.pid if self._leader else 0
        found = stats.get(session)
        if self._leader and found and found.start_ticks != self._leader.start_ticks:
            session = 0  # the number is somebody else's by now
        return [pid for pid, stat in stats.items() if (session and stat.session == session) or self._is_marked(pid)]

    def send(self, number: signal.Signals) -> int:
        """Signal each of them; how many there were."""
        pids = self.find()
        for pid in pids:
            self._send_one(pid, number)
        return len(pids)

    async def end(self) -> bool:
        """Kill what is left until nothing is; False when something does not go."""
        deadline_s = asyncio.get_running_loop().time() + KILL_DEADLINE_S
        while self.send(signal.SIGKILL):
            if asyncio.get_running_loop().time() > deadline_s:
                return False
            await asyncio.sleep(_PAUSE_S)
        return True

    def _send_one(self, pid: int, number: signal.Signals) -> None:
        # Looked at again after opening: the descriptor then cannot belong to a later process of the same number.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            fd = os.pidfd_open(pid)
            try:
                stat = read_stat(pid)
                if stat and ((self._leader and stat.session == self._leader.pid) or self._is_marked(pid)):
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)

    def _is_marked(self, pid: int) -> bool:
        try:
            return self._variable in PROC.joinpath(str(pid), "environ").read_bytes().split(b"\0")
        except OSError:
            return False
