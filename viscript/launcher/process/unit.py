"""Applications as transient systemd units: the board's backend.

Viscript itself has no right to start anything; it asks the starter over its socket, one line each way. Ends
are seen directly, by the main process's pidfd; how a program ended systemd knows, and the starter asks it.
Output and input are files that the starter makes and viscript may read and write.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from viscript.errors import StartError, UnsureStartError, UsageError
from viscript.launcher.model import Process, Signal
from viscript.launcher.process.door import LAST_LINES, Exit, Found
from viscript.launcher.process.inlet import Inlet
from viscript.launcher.process.owner import is_of_cgroup, is_process_of_cgroup
from viscript.launcher.process.procfs import read_process, wait_exit
from viscript.launcher.process.ring import Ring
from viscript.launcher.starter.argv import SLICE, unit_name
from viscript.launcher.starter.model import (
    MAX_LINE,
    OUTPUTS,
    AddApp,
    CollectUnit,
    ForgetFiles,
    ListUnits,
    StarterReply,
    StarterRequest,
    StartUnit,
    State,
    StopUnit,
    Unit,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from viscript.launcher.model import App, Launch, Output, Record
    from viscript.signal.model import Peer

log = logging.getLogger(__name__)

DEADLINE_S = 100.0
"""Seconds for the starter's answer: more than it may take itself, for systemd on an emulated board takes its time."""
CGROUPS = Path("/sys/fs/cgroup/skywire.slice") / SLICE
"""Where systemd puts the units' control groups: a slice's name spells its parents."""

WITHDRAW_INTERVAL_S, ASK_AGAIN_S = 0.5, 2.0
COLLECT_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Between questions whether systemd is done with a unit; the last one repeats."""


class UnitBackend:
    """Asks the starter that listens on `socket_path`; the units' control groups are in `cgroups`, the programs'
    output and input in `outputs`.
    """

    def __init__(
        self,
        socket_path: Path,
        deadline_s: float = DEADLINE_S,
        cgroups: Path = CGROUPS,
        outputs: Path = Path(OUTPUTS),
    ) -> None:
        self._socket_path = socket_path
        self._deadline_s = deadline_s
        self._cgroups = cgroups
        self._outputs = outputs

    async def start(self, launch: Launch) -> Process:
        units = await self._ask(StartUnit(launch.app.name, launch.id, launch.args))
        if not units:
            raise StartError(f"'{launch.app.name}' ended as soon as it was started")
        # One that has ended keeps its number: the watcher then reports the exit as of any other program.
        return read_process(units[0].pid) or Process(units[0].pid, 0)

    async def withdraw(self, app_id: int) -> None:
        # The starter serves one at a time, in order: once it answers this, it is done with the start.
        while units := await self._ask(CollectUnit(app_id)):
            if any(unit.state in {State.WAITING, State.RUNNING} for unit in units):
                await self._signal(app_id, Signal.KILL)
            await asyncio.sleep(WITHDRAW_INTERVAL_S)
        await self.forget(app_id)

    async def find(self, records: Iterable[Record]) -> list[Found]:
        found, known = [], {record.id for record in records}
        for unit in await self._ask(ListUnits()):  # systemd's own list is the truth
            process = read_process(unit.pid) if unit.pid and unit.state is not State.ENDED else None
            if process is not None:
                found.append(Found(unit.id, unit.name, process))
            elif unit.id not in known:
                await self._ask(CollectUnit(unit.id))
        return found

    async def kill(self, app_id: int, process: Process, signal: Signal) -> None:
        del process
        await self._signal(app_id, signal)

    async def wait_gone(self, app_id: int, process: Process) -> Exit:
        await wait_exit(process)
        code, step = None, 0
        while units := await self._ask_on(CollectUnit(app_id)):
            code = units[0].code if units[0].code is not None else code
            await asyncio.sleep(COLLECT_PAUSES_S[min(step, len(COLLECT_PAUSES_S) - 1)])
            step += 1
        return Exit(code, self._ring(app_id).last_lines(LAST_LINES))

    async def forget(self, app_id: int) -> None:
        await self._ask(ForgetFiles(app_id))

    async def read_output(self, app_id: int, offset: int, limit: int) -> Output:
        return self._ring(app_id).read(offset, limit)

    async def write_input(self, app_id: int, data: bytes) -> None:
        Inlet(self._outputs / f"{app_id}.in").write(data)

    async def deploy(self, name: str, entry: App) -> None:
        await self._ask(AddApp(name, entry))

    def owns(self, peer: Peer, record: Record) -> bool:
        # By the unit's name alone: a quick program registers before the starter has told us its pid.
        group = self._cgroups / unit_name(record.app, record.id)
        pid = getattr(peer, "pid", None)
        return is_of_cgroup(peer, group) if pid is None else is_process_of_cgroup(pid, group)

    def close(self) -> None:
        pass

    def _ring(self, app_id: int) -> Ring:
        return Ring(self._outputs / f"{app_id}.out")

    async def _signal(self, app_id: int, signal: Signal) -> None:
        try:
            await self._ask(StopUnit(app_id, signal))
        except StartError:
            # Between our look and systemd's the unit may have ended by itself.
            if any(unit.id == app_id and unit.state is State.RUNNING for unit in await self._ask(ListUnits())):
                raise

    async def _ask_on(self, request: StarterRequest) -> tuple[Unit, ...]:
        """Ask until the starter answers: it may be starting anew itself."""
        while True:
            try:
                return await self._ask(request)
            except StartError as error:
                log.warning("asking again: %s", error)
                await asyncio.sleep(ASK_AGAIN_S)

    async def _ask(self, request: StarterRequest) -> tuple[Unit, ...]:
        try:
            async with asyncio.timeout(self._deadline_s):
                line = await self._exchange(msgspec.json.encode(request) + b"\n")
            reply = msgspec.json.decode(line, type=StarterReply)
        except TimeoutError:
            raise UnsureStartError(f"the starter did not answer within {self._deadline_s:g} s") from None
        except (FileNotFoundError, PermissionError, ConnectionRefusedError) as error:
            raise StartError(f"the starter at '{self._socket_path}' does not answer: {error}") from error
        except (OSError, msgspec.DecodeError) as error:
            raise UnsureStartError(f"the starter at '{self._socket_path}' broke off: {error}") from error
        if reply.error is not None and reply.usage:
            raise UsageError(reply.error)
        if reply.error is not None:
            raise UnsureStartError(reply.error) if reply.unsure else StartError(reply.error)
        return reply.units

    async def _exchange(self, line: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self._socket_path, limit=MAX_LINE)
        try:
            writer.write(line)
            await writer.drain()
            return await reader.readline()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
