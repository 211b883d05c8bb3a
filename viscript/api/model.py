"""The API's words. A line is a `Call`; its answer is a `Reply` with the same id, in whatever order answers
are ready.

    {"id":1,"request":{"do":"ping","app_id":2}}
    {"id":1,"result":{"seconds":0.0004}}          or     {"id":1,"error":{"code":"no-such-id","text":"…"}}

Fields may be added; unknown ones in a request are refused, so that a newer shell learns what an older
daemon lacks.
"""

from __future__ import annotations

import msgspec

from viscript.launcher.model import Stopped, Usage

MAX_LINE = 1 << 19
"""Bytes of the longest line either side accepts."""


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class ListConfigured(_Request, tag="apps", frozen=True):
    """Answered by `Apps`."""


class Start(_Request, tag="start", frozen=True):
    """Answered by `RunningApp`. Without `args` the default arguments apply."""

    app: str
    args: tuple[str, ...] = ()


class ListRunning(_Request, tag="running", frozen=True):
    """Answered by `RunningApps`."""


class PingApp(_Request, tag="ping", frozen=True):
    """Answered by `PingTime`."""

    app_id: int


class AskUsage(_Request, tag="usage", frozen=True):
    """Answered by `Usage`."""

    app_id: int


class Shutdown(_Request, tag="shutdown", frozen=True):
    """Answered by `Stopped`, once the application is gone."""

    app_id: int


class AskStatus(_Request, tag="status", frozen=True):
    """Answered by `Status`, at once and without asking anybody: fit for a health check."""


Request = ListConfigured | Start | ListRunning | PingApp | AskUsage | Shutdown | AskStatus


class ConfiguredApp(msgspec.Struct, frozen=True):
    name: str
    desc: str
    help: str
    default_args: tuple[str, ...]
    daemon: bool


class Apps(msgspec.Struct, frozen=True):
    apps: tuple[ConfiguredApp, ...]


class RunningApp(msgspec.Struct, frozen=True):
    """`command` is the program's path and its arguments; `connected` says whether it reports over signal."""

    id: int
    app: str
    command: tuple[str, ...]
    pid: int
    connected: bool


class RunningApps(msgspec.Struct, frozen=True):
    apps: tuple[RunningApp, ...]


class PingTime(msgspec.Struct, frozen=True):
    seconds: float


class Status(msgspec.Struct, frozen=True):
    """`trouble` is empty, or the sentence that says why the daemon is not as it should be."""

    version: str
    pid: int
    uptime_s: float
    apps: int
    running: int
    connected: int
    signal_address: str
    config: str
    trouble: str = ""


Result = Apps | RunningApp | RunningApps | PingTime | Usage | Stopped | Status


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int
    request: Request


class Failure(msgspec.Struct, frozen=True):
    """`code` is for programs, `text` is the sentence for people."""

    code: str
    text: str


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """`id` is 0 when the call was too broken to have one."""

    id: int
    result: msgspec.Raw = msgspec.Raw(b"")
    error: Failure | None = None
