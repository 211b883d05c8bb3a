"""Applications as process groups: for workstations, laboratories and tests.

A program gets a session of its own, so that viscript's death and the terminal's Ctrl+C do not reach it; its
output goes to a bounded file, its input comes from a pipe that it holds open itself. What it leaves behind is
ended with it (see `kin`), unless it both left the session and emptied its environment; `unit` has no such
hole.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal as process_signals
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from viscript.errors import StartError
from viscript.launcher.config import load_config
from viscript.launcher.deploy import add_entry
from viscript.launcher.model import Process, Signal
from viscript.launcher.process.account import Account, find_account
from viscript.launcher.process.door import LAST_LINES, Exit, Found
from viscript.launcher.process.inlet import Inlet
from viscript.launcher.process.kin import MARK, Kin
from viscript.launcher.process.owner import is_of_session, is_of_user
from viscript.launcher.process.procfs import is_running, read_process, wait_exit
from viscript.launcher.process.ring import LIMIT, Ring

if TYPE_CHECKING:
    from collections.abc import Iterable

    from viscript.launcher.model import App, Launch, Output, Record
    from viscript.signal.model import Peer

log = logging.getLogger(__name__)

TRIM_INTERVAL_S, FLOOD_INTERVAL_S = 0.25, 0.02
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
    """Keeps the programs' output and input in `directory`; applications are deployed beside the file `config`."""

    def __init__(self, directory: Path, config: Path | None = None) -> None:
        self._directory = directory
        self._config = config
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    async def start(self, launch: Launch) -> Process:
        app = launch.app
        account = settle_account(app)
        if app.memory_max or app.cpu_weight:
            log.warning("%s: memory_max and cpu_weight need systemd and are not enforced here", app.name)
        try:
            child = self._spawn(launch, account)
        except (OSError, ValueError) as error:
            self._forget(launch.id)
            raise StartError(f"cannot start '{launch.command[0]}': {_explain(error, launch)}") from error
        self._children[child.pid] = child
        process = read_process(child.pid)
        # A zombie of ours keeps its number: the watcher then reports the exit as of any other program.
        return process if process is not None else Process(child.pid, 0)

    async def withdraw(self, app_id: int) -> None:
        # A start here is done at once or not at all, but viscript may have died before it noted the pid.
        if not await Kin(None, self._mark(app_id)).end():
            raise StartError(f"what was started as id {app_id} does not end, not even by SIGKILL")
        self._forget(app_id)

    async def find(self, records: Iterable[Record]) -> list[Found]:
        found = []
        for record in records:
            process = record.process or self._find_marked(record.id)
            if process is not None and is_running(process):
                found.append(Found(record.id, record.app, process))
            elif process is not None and not await Kin(process, self._mark(record.id)).end():
                log.warning("id %d left a process behind that does not end, not even by SIGKILL", record.id)
        return found

    async def kill(self, app_id: int, process: Process, signal: Signal) -> None:
        number = process_signals.SIGTERM if signal is Signal.TERM else process_signals.SIGKILL
        Kin(process, self._mark(app_id)).send(number)

    async def wait_gone(self, app_id: int, process: Process) -> Exit:
        ring = self._ring(app_id)
        await self._wait_trimming(process, ring)
        if not await Kin(process, self._mark(app_id)).end():
            log.warning("id %d left a process behind that does not end, not even by SIGKILL", app_id)
        child = self._children.pop(process.pid, None)
        self._inlet(app_id).remove()
        return Exit(child.wait() if child is not None else None, ring.last_lines(LAST_LINES))

    async def forget(self, app_id: int) -> None:
        self._ring(app_id).remove()

    async def read_output(self, app_id: int, offset: int, limit: int) -> Output:
        return self._ring(app_id).read(offset, limit)

    async def write_input(self, app_id: int, data: bytes) -> None:
        self._inlet(app_id).write(data)

    async def deploy(self, name: str, entry: App) -> None:
        if self._config is None:
            raise StartError("there is no configuration to add an application to (start viscript with --config)")
        add_entry(self._config.parent, name, entry, load_config(self._config))

    def owns(self, peer: Peer, record: Record) -> bool:
        """Over a UNIX socket: whether the peer is in the program's session. Over TCP, which old programs use, the
        kernel tells no more than the peer's user: any program of that user could take the id.
        """
        if record.process is None or not is_running(record.process):
            return False
        pid = getattr(peer, "pid", None)
        return is_of_user(peer, record.process) if pid is None else is_of_session(pid, record.process)

    def close(self) -> None:
        for child in self._children.values():
            child.returncode = 0  # they are meant to outlive us: keeps Popen from warning about it
        self._children.clear()

    def _spawn(self, launch: Launch, account: Account | None) -> subprocess.Popen[bytes]:
        self._forget(launch.id)
        output, inlet = self._ring(launch.id).open(), None
        try:
            inlet = None if launch.app.daemon else self._inlet(launch.id).make()
            return subprocess.Popen(
                launch.command,
                stdin=subprocess.DEVNULL if inlet is None else inlet,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=launch.app.cwd,
                env=self._environment(launch, account),
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=account.groups if account else None,
            )
        finally:
            os.close(output)
            if inlet is not None:
                os.close(inlet)

    def _environment(self, launch: Launch, account: Account | None) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
        who = account.variables() if account else {}
        return inherited | who | launch.app.env | launch.env | {MARK: self._mark(launch.id)}

    async def _wait_trimming(self, process: Process, ring: Ring) -> None:
        ended, pause_s = asyncio.ensure_future(wait_exit(process)), TRIM_INTERVAL_S
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=pause_s)
                pause_s = FLOOD_INTERVAL_S if ring.trim() > LIMIT else TRIM_INTERVAL_S
        finally:
            ended.cancel()

    def _find_marked(self, app_id: int) -> Process | None:
        """The program of a start that was cut short before its pid was noted: the first leader of a session."""
        sessions = set()
        for pid in Kin(None, self._mark(app_id)).find():
            with contextlib.suppress(ProcessLookupError):
                sessions.add(os.getsid(pid))
        leaders = [leader for leader in map(read_process, sessions) if leader is not None]
        return min(leaders, key=lambda leader: leader.start_ticks, default=None)

    def _ring(self, app_id: int) -> Ring:
        return Ring(self._directory / f"{app_id}.out")

    def _inlet(self, app_id: int) -> Inlet:
        return Inlet(self._directory / f"{app_id}.in")

    def _mark(self, app_id: int) -> str:
        return str(self._ring(app_id).path)

    def _forget(self, app_id: int) -> None:
        self._ring(app_id).remove()
        self._inlet(app_id).remove()


def settle_account(app: App) -> Account | None:
    """Whom the program is to run as, if not as us. Raises StartError when that cannot be."""
    if app.user is None:
        return None
    account = find_account(app.user)
    if account.uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise StartError(
            f"'{app.name}' is to run as '{app.user}', which only root can make happen"
            " (run viscript as root, or take 'user' out of its entry)"
        )
    return account


def _explain(error: OSError | ValueError, launch: Launch) -> str:
    """The kernel's reason, with what it was about when that is not the program."""
    if not isinstance(error, OSError):
        return str(error)
    reason, cwd = error.strerror or str(error), launch.app.cwd
    return f"cwd '{cwd}': {reason}" if cwd is not None and error.filename == cwd else reason
