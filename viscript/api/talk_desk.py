"""What the requests to running applications mean: questions over signal, what they use, read and write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from viscript.api.model import (
    MAX_WAIT_S,
    AskMemStats,
    AskSelf,
    AskTop,
    AskUsage,
    Done,
    MemStats,
    PingApp,
    PingTime,
    ReadLog,
    Said,
    SelfReport,
    SetLogLevel,
    TalkRequest,
    TalkResult,
    TellApp,
    TopRow,
    TopTable,
    TypeInto,
    UsageReport,
)
from viscript.errors import UsageError, ViscriptError
from viscript.signal.errors import SignalError

if TYPE_CHECKING:
    from viscript.launcher.lifecycle import Launcher
    from viscript.launcher.logs import Logs
    from viscript.launcher.model import LogPart, Record, Usage
    from viscript.launcher.questions import Questions
    from viscript.signal.server import SignalServer

PING_PATIENCE_S = 20.0
"""Seconds a ping waits for a program that has not registered yet; on an emulated board Python takes ten to
start.
"""

OWN_DEADLINE_S, GLANCE_DEADLINE_S = 2.5, 0.5
"""Seconds an application may take to tell its own part of a measurement, alone and in the table of all; a hung one is
shown without. A field that hangs is given up by the program itself after two.
"""

MAX_LOG_LINES = 10_000
MAX_TYPED = 65_536


class TalkDesk:
    def __init__(self, launcher: Launcher, questions: Questions, logs: Logs, signals: SignalServer) -> None:
        self._launcher = launcher
        self._questions = questions
        self._logs = logs
        self._signals = signals

    async def answer(self, request: TalkRequest) -> TalkResult:  # noqa: PLR0911 (one per request)
        match request:
            case PingApp(app_id):
                return PingTime(await self._questions.ping(app_id, PING_PATIENCE_S))
            case AskUsage(app_id):
                return await self._measure(app_id)
            case AskMemStats(app_id):
                return MemStats(await self._questions.memstats(app_id))
            case AskTop():
                return await self._measure_all()
            case AskSelf(app_id):
                return await self._ask_self(app_id)
            case SetLogLevel(app_id, level):
                await self._questions.set_log_level(app_id, level)
                return Done()
            case TellApp(app_id, command, args):
                return Said(await self._questions.command(app_id, command, args))
            case ReadLog():
                return await self._read_log(request)
            case TypeInto(app_id, text):
                return await self._type(app_id, text)

    async def _read_log(self, asked: ReadLog) -> LogPart:
        if not 0 <= asked.wait_s <= MAX_WAIT_S:
            raise UsageError(f"cannot wait '{asked.wait_s:g}' s for output; at most {MAX_WAIT_S:g}")
        if not 0 <= asked.lines <= MAX_LOG_LINES:
            raise UsageError(f"cannot show '{asked.lines}' lines; at most {MAX_LOG_LINES}")
        if asked.offset is not None and asked.offset < 0:
            raise UsageError(f"'{asked.offset}' is no place in a log")
        return await self._logs.read(asked.app_id, asked.offset, asked.lines, asked.wait_s)

    async def _type(self, app_id: int, text: str) -> Done:
        if len(text) > MAX_TYPED:
            raise UsageError(f"{len(text)} characters were typed at once; at most {MAX_TYPED} are taken")
        await self._launcher.type_into(app_id, text)
        return Done()

    async def _ask_self(self, app_id: int) -> SelfReport:
        report = await self._questions.report(app_id)
        return SelfReport(report.status, report.log_level, report.fields, report.commands)

    async def _measure(self, app_id: int) -> UsageReport:
        usage, own = await asyncio.gather(self._questions.usage(app_id), self._ask_own(app_id, OWN_DEADLINE_S))
        return UsageReport(**msgspec.structs.asdict(usage), own=own)

    async def _ask_own(self, app_id: int, deadline_s: float) -> SelfReport | None:
        if not self._signals.extended(app_id):
            return None
        try:
            async with asyncio.timeout(deadline_s):
                return await self._ask_self(app_id)
        except (TimeoutError, SignalError, ViscriptError):
            return None

    async def _measure_all(self) -> TopTable:
        used = await self._questions.usages()
        rows = await asyncio.gather(*(self._make_row(record, usage) for record, usage in used))
        return TopTable(tuple(rows))

    async def _make_row(self, record: Record, usage: Usage) -> TopRow:
        connected = record.id in self._signals.connected()
        own = await self._ask_own(record.id, GLANCE_DEADLINE_S)
        return TopRow(record.id, record.app, usage, connected, own.status if own is not None else "")
