"""Applications as transient systemd units: the board's backend.

Viscript itself has no right to start anything; it asks the starter over its socket, one line each way. Ends
are seen directly, by the main process's pidfd, and cost the starter nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from viscript.errors import StartError
from viscript.launcher.process.cgroup import is_in_unit
from viscript.launcher.process.door import Exit, Found
from viscript.launcher.process.procfs import read_process, wait_exit
from viscript.launcher.starter.argv import unit_name
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
    from pathlib import Path

    from viscript.launcher.model import Launch, Process, Record, Signal
    from viscript.signal.model import Peer

DEADLINE_S = 70.0
"""Seconds for the starter's answer: systemd on an emulated board takes its time."""


class UnitBackend:
    """Asks the starter that listens on `socket_path`."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path

    async def start(self, launch: Launch) -> Process:
        units = await self._ask(StartUnit(launch.app.name, launch.id, launch.args))
        process = read_process(units[0].pid) if units else None
        if process is None:
            raise StartError(f"'{launch.app.name}' ended as soon as it was started")
        return process

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
        try:
            await self._ask(StopUnit(app_id, signal))
        except StartError:
            # Between our look and systemd's the unit may have ended by itself.
            if any(unit.id == app_id for unit in await self._ask(ListUnits())):
                raise

    async def wait_gone(self, app_id: int, process: Process) -> Exit:
        del app_id
        await wait_exit(process)
        return Exit()

    def owns(self, peer: Peer, record: Record) -> bool:
        if record.process is None:
            return False
        return is_in_unit(peer, record.process.pid, unit_name(record.app, record.id))

    def close(self) -> None:
        pass

    async def _ask(self, request: StarterRequest) -> tuple[Unit, ...]:
        try:
            async with asyncio.timeout(DEADLINE_S):
                line = await self._exchange(msgspec.json.encode(request) + b"\n")
            reply = msgspec.json.decode(line, type=StarterReply)
        except TimeoutError:
            raise StartError(f"the starter did not answer within {DEADLINE_S:g} s") from None
        except (OSError, msgspec.DecodeError) as error:
            raise StartError(f"the starter at '{self._socket_path}' does not answer: {error}") from error
        if reply.error is not None:
            raise StartError(reply.error)
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
