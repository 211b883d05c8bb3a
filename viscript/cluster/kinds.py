"""What may be asked of another board: the answer it must give, how long it may take, and whether asking twice does
no harm. A request that is not in the table stays on the board it was made on, so none is ever forwarded twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from viscript.api.model import (
    MAX_WAIT_S,
    Apps,
    AskEntry,
    AskMemStats,
    AskSelf,
    AskStatus,
    AskTop,
    AskUsage,
    Deploy,
    Done,
    ListConfigured,
    ListRunning,
    MemStats,
    PingApp,
    PingTime,
    ReadLog,
    Reload,
    RestartApp,
    RunningApp,
    RunningApps,
    Said,
    SelfReport,
    SetLogLevel,
    Shutdown,
    Start,
    Status,
    TellApp,
    TopTable,
    TypeInto,
    UsageReport,
)
from viscript.launcher.model import App, LogPart, Reloaded, Stopped

QUICK_S = 5.0
"""Seconds for what a board answers from its own memory."""

ASK_APP_S = 30.0
"""Seconds for what a program is asked, which may take twenty to register."""

CHANGE_S = 110.0
"""Seconds for starts and ends of programs: just less than the asking board gives the whole request."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`result` is the only type of answer that is believed; `again` says whether a lost request may be repeated."""

    result: type[msgspec.Struct]
    deadline_s: float = QUICK_S
    again: bool = False


KINDS: dict[type[msgspec.Struct], Kind] = {
    ListConfigured: Kind(Apps, again=True),
    AskEntry: Kind(App, again=True),
    ListRunning: Kind(RunningApps, again=True),
    AskStatus: Kind(Status, again=True),
    AskTop: Kind(TopTable, again=True),
    AskUsage: Kind(UsageReport, again=True),
    ReadLog: Kind(LogPart, again=True),
    PingApp: Kind(PingTime, ASK_APP_S, again=True),
    AskMemStats: Kind(MemStats, ASK_APP_S, again=True),
    AskSelf: Kind(SelfReport, ASK_APP_S, again=True),
    SetLogLevel: Kind(Done, ASK_APP_S),
    TellApp: Kind(Said, ASK_APP_S),
    TypeInto: Kind(Done),
    Reload: Kind(Reloaded, CHANGE_S),
    Start: Kind(RunningApp, CHANGE_S),
    RestartApp: Kind(RunningApp, CHANGE_S),
    Deploy: Kind(RunningApp, CHANGE_S),
    Shutdown: Kind(Stopped, CHANGE_S),
}


def find_kind(request: msgspec.Struct) -> Kind | None:
    """None for what is not forwarded."""
    kind = KINDS.get(type(request))
    if kind is not None and isinstance(request, ReadLog):
        return Kind(kind.result, kind.deadline_s + min(max(request.wait_s, 0.0), MAX_WAIT_S), kind.again)
    return kind
