"""The API's words. A line is a `Call`; its answer is a `Reply` with the same id, in whatever order answers
are ready.

    {"id":1,"request":{"do":"ping","app_id":2}}
    {"id":1,"result":{"seconds":0.0004}}          or     {"id":1,"error":{"code":"no-such-id","text":"…"}}

Fields may be added; unknown ones in a request are refused, so that a newer shell learns what an older
daemon lacks.
"""

from __future__ import annotations

import msgspec

from viscript.launcher.model import App, Ended, LogPart, Reloaded, Stopped, Usage

MAX_LINE = 1 << 19
"""Bytes of the longest line either side accepts."""

NODE_AWAY = "node-away"
MAX_WAIT_S = 30.0


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class ListConfigured(_Request, tag="apps", frozen=True):
    """Answered by `Apps`."""


class AskEntry(_Request, tag="entry", frozen=True):
    """The whole configuration of one application; answered by `launcher.model.App`."""

    app: str


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
    """Answered by `UsageReport`."""

    app_id: int


class Shutdown(_Request, tag="shutdown", frozen=True):
    """Answered by `Stopped`, once the application is gone."""

    app_id: int


class AskStatus(_Request, tag="status", frozen=True):
    """Answered by `Status`, at once and without asking anybody: fit for a health check."""


class RestartApp(_Request, tag="restart", frozen=True):
    """Answered by `RunningApp`: the same id, a new process, the same arguments."""

    app_id: int


class ReadLog(_Request, tag="log", frozen=True):
    """Answered by `LogPart`. Without `offset` the last `lines`; with it what came since, for which `wait_s` (at most
    30) seconds are waited. Works for ended applications as long as they are remembered.
    """

    app_id: int
    offset: int | None = None
    lines: int = 20
    wait_s: float = 0.0


class TypeInto(_Request, tag="type", frozen=True):
    """Answered by `Done`, once the text is on the application's standard input."""

    app_id: int
    text: str


class Reload(_Request, tag="reload", frozen=True):
    """Answered by `Reloaded`. A broken file is an error, and the former configuration stays in force."""


class AskMemStats(_Request, tag="memstats", frozen=True):
    """Answered by `MemStats`."""

    app_id: int


class AskTop(_Request, tag="top", frozen=True):
    """Answered by `TopTable`, measured over a fifth of a second."""


class AskSelf(_Request, tag="self", frozen=True):
    """Answered by `SelfReport`: what the application says of itself. Needs the extensions."""

    app_id: int


class SetLogLevel(_Request, tag="log_level", frozen=True):
    """Answered by `Done`. Needs the extensions."""

    app_id: int
    level: str


class TellApp(_Request, tag="tell", frozen=True):
    """A command of the application's own; answered by `Said`. Needs the extensions."""

    app_id: int
    command: str
    args: tuple[str, ...] = ()


class Deploy(_Request, tag="deploy", frozen=True):
    """Adds the entry to this board's configuration, or replaces it, and starts it; answered by `RunningApp`."""

    app: str
    entry: App


class ListNodes(_Request, tag="nodes", frozen=True):
    """Answered by `Nodes`: the boards of the cluster, asked at once."""


class ListChannels(_Request, tag="channels", frozen=True):
    """Answered by `Channels`."""


class OnNodes(_Request, tag="on", frozen=True):
    """The request, done on the named nodes in parallel; no names are all. Answered by `NodeReplies`, in which a
    board that did not answer in time has an error. Never forwarded twice.
    """

    nodes: tuple[str, ...]
    request: msgspec.Raw


LifeRequest = ListConfigured | AskEntry | Start | ListRunning | Shutdown | RestartApp | Deploy
TalkRequest = PingApp | AskUsage | AskMemStats | AskTop | AskSelf | SetLogLevel | TellApp | ReadLog | TypeInto
ClusterRequest = ListNodes | ListChannels | OnNodes
"""What a board asks on behalf of its own people only: it is refused to other boards, so nothing travels twice."""

Request = LifeRequest | TalkRequest | ClusterRequest | Reload | AskStatus


class ConfiguredApp(msgspec.Struct, frozen=True):
    name: str
    desc: str
    help: str
    default_args: tuple[str, ...]
    daemon: bool


class Apps(msgspec.Struct, frozen=True):
    """`trouble` is the sentence that says why there may be fewer than expected."""

    apps: tuple[ConfiguredApp, ...]
    trouble: str = ""


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
    """`trouble` is empty, or the sentence that says why the daemon is not as it should be; `ended` are the runs that
    ended last, the newest first, and `waiting` the ids that are about to be started again.
    """

    version: str
    pid: int
    uptime_s: float
    apps: int
    running: int
    connected: int
    signal_address: str
    config: str
    trouble: str = ""
    ended: tuple[Ended, ...] = ()
    waiting: tuple[int, ...] = ()


class Done(msgspec.Struct, frozen=True):
    """It was done, and there is nothing to tell."""


class MemStats(msgspec.Struct, frozen=True):
    """Go's runtime.MemStats under Go's names, in bytes."""

    stats: dict[str, float]


class TopRow(msgspec.Struct, frozen=True):
    id: int
    app: str
    usage: Usage
    connected: bool
    status: str = ""


class TopTable(msgspec.Struct, frozen=True):
    rows: tuple[TopRow, ...]


class SelfReport(msgspec.Struct, frozen=True):
    """`fields` are the application's own; `commands` are what `tell` can say to it."""

    status: str
    log_level: str
    fields: dict[str, str | int | float | bool]
    commands: tuple[str, ...]


class UsageReport(Usage, frozen=True):
    """`own` is what the application says of itself, None for one without the extensions or that does not answer now."""

    own: SelfReport | None = None


class Said(msgspec.Struct, frozen=True):
    text: str


class Node(msgspec.Struct, frozen=True):
    """`rtt_s` and `status` are None when it did not answer, and `error` then says why."""

    name: str
    address: str
    rtt_s: float | None = None
    status: Status | None = None
    error: str = ""


class Nodes(msgspec.Struct, frozen=True):
    nodes: tuple[Node, ...]


class Channel(msgspec.Struct, frozen=True):
    """`kind` is api, link or route; rates are bytes per second over the last interval."""

    kind: str
    node: str
    address: str
    rtt_s: float | None
    sent_bytes: int
    received_bytes: int
    sent_bps: float
    received_bps: float


class Channels(msgspec.Struct, frozen=True):
    channels: tuple[Channel, ...]


class Failure(msgspec.Struct, frozen=True):
    """`code` is for programs, `text` is the sentence for people."""

    code: str
    text: str


class NodeReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """Either a result or an error; the error's code is `NODE_AWAY` when the board itself did not answer."""

    node: str
    result: msgspec.Raw = msgspec.Raw(b"")
    error: Failure | None = None


class NodeReplies(msgspec.Struct, frozen=True):
    replies: tuple[NodeReply, ...]


LifeResult = Apps | App | RunningApp | RunningApps | Stopped
TalkResult = PingTime | UsageReport | MemStats | TopTable | SelfReport | Said | LogPart | Done
ClusterResult = Nodes | Channels | NodeReplies
Result = LifeResult | TalkResult | ClusterResult | Reloaded | Status


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int
    request: Request


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """`id` is 0 when the call was too broken to have one."""

    id: int
    result: msgspec.Raw = msgspec.Raw(b"")
    error: Failure | None = None
