"""Applications as transient systemd units: the board's backend.

Viscript itself has no right to start anything; it asks the starter over its socket, one line each way. Ends
are seen directly, by the main process's pidfd, and cost the starter nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from viscript.errors import StartError, UnsureStartError
from viscript.launcher.model import Signal
from viscript.launcher.process.cgroup import is_in
from viscript.launcher.process.door import Exit, Found
from viscript.launcher.process.procfs import read_process, wait_exit
from viscript.launcher.starter.argv import SLICE, unit_name
from viscript.launcher.starter.model import (
    MAX_LINE,
    ListUnits,
    StarterReply,
    StarterRequest,
    StartUnit,
    StopUnit,
    Unit,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from viscript.launcher.model import Launch, Process, Record
    from viscript.signal.model import Peer

DEADLINE_S = 70.0
"""Seconds for the starter's answer: more than it may take itself, for systemd on an emulated board takes its time."""
CGROUPS = Path("/sys/fs/cgroup/skywire.slice") / SLICE
"""Where systemd puts the units' control groups: a slice's name spells its parents."""

WITHDRAW_INTERVAL_S = 0.5


class UnitBackend:
    """Asks the starter that listens on `socket_path`; the units' control groups are in `cgroups`."""

    def __init__(self, socket_path: Path, deadline_s: float = DEADLINE_S, cgroups: Path = CGROUPS) -> None:
        self._socket_path = socket_path
        self._deadline_s = deadline_s
        self._cgroups = cgroups

    async def start(self, launch: Launch) -> Process:
        units = await self._ask(StartUnit(launch.app.name, launch.id, launch.args))
        process = read_process(units[0].pid) if units else None
        if process is None:
            raise StartError(f"'{launch.app.name}' ended as soon as it was started")
        return process

    async def withdraw(self, app_id: int) -> None:
        # The starter serves one at a time, in order: once it answers this, it is done with the start.
        while any(unit.id == app_id for unit in await self._ask(ListUnits())):
            await self._signal(app_id, Signal.KILL)
            await asyncio.sleep(WITHDRAW_INTERVAL_S)

    async def find(self, records: Iterable[Record]) -> list[Found]:
        del records  # systemd's own list is the truth
        found = []
        for unit in await self._ask(ListUnits()):
            process = read_process(unit.pid) if unit.pid else None
            if process is not None:
                found.append(Found(unit.id, unit.name, process))
        return found

    async def kill(self, app_id: int, process: Process, signal: Signal) -> None:
        del process
        await self._signal(app_id, signal)

    async def wait_gone(self, app_id: int, process: Process) -> Exit:
        del app_id
        await wait_exit(process)
        return Exit()

    def owns(self, peer: Peer, record: Record) -> bool:
        # By the unit's name alone: a quick program registers before the starter has told us its pid.
        return is_in(peer, self._cgroups / unit_name(record.app, record.id))

    def close(self) -> None:
        pass

    async def _signal(self, app_id: int, signal: Signal) -> None:
        try:
            await self._ask(StopUnit(app_id, signal))
        except StartError:
            # Between our look and systemd's the unit may have ended by itself.
            if any(unit.id == app_id for unit in await self._ask(ListUnits())):
                raise

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
