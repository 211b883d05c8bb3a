"""The starter's lines: one JSON request, one JSON reply, then the connection ends."""

from __future__ import annotations

import enum

import msgspec

from viscript.launcher.model import App, Signal

MAX_LINE = 1 << 19
SOCKET = "/run/skywire/starter.sock"
OUTPUTS = "/run/skywire/out"
"""Where the applications' output and input files are; root's, and viscript may read and write the files."""


class StartUnit(msgspec.Struct, frozen=True, tag_field="do", tag="start", forbid_unknown_fields=True):
    app: str
    id: int
    args: tuple[str, ...]


class StopUnit(msgspec.Struct, frozen=True, tag_field="do", tag="stop", forbid_unknown_fields=True):
    id: int
    signal: Signal


class ListUnits(msgspec.Struct, frozen=True, tag_field="do", tag="list", forbid_unknown_fields=True):
    pass


class CollectUnit(msgspec.Struct, frozen=True, tag_field="do", tag="collect", forbid_unknown_fields=True):
    """Let systemd forget a unit whose main process has ended. To be asked again until the reply names no unit."""

    id: int


class ForgetFiles(msgspec.Struct, frozen=True, tag_field="do", tag="forget", forbid_unknown_fields=True):
    """Remove the files of an application that is collected."""

    id: int


class AddApp(msgspec.Struct, frozen=True, tag_field="do", tag="add", forbid_unknown_fields=True):
    """Write the entry of an application into the configuration; see `viscript.launcher.deploy` for what may be."""

    name: str
    entry: App


StarterRequest = StartUnit | StopUnit | ListUnits | CollectUnit | ForgetFiles | AddApp


class State(enum.Enum):
    """ENDED: the main process is over and systemd keeps its exit code for us."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


class Unit(msgspec.Struct, frozen=True):
    """A transient unit of ours; `pid` is that of its main process, also when that has ended, and 0 before there is
    one. `code` is its exit code, or minus the signal's number, once it has ended.
    """

    id: int
    name: str
    pid: int
    unit: str
    state: State
    code: int | None = None


class StarterReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """`units` are those asked about; with `error` set, nothing was done, or with `unsure` perhaps something. `usage`
    tells an error of the one who asked.
    """

    units: tuple[Unit, ...] = ()
    error: str | None = None
    unsure: bool = False
    usage: bool = False
