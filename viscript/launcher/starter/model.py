"""The starter's lines: one JSON request, one JSON reply, then the connection ends."""

from __future__ import annotations

import msgspec

from viscript.launcher.model import Signal

MAX_LINE = 1 << 19
SOCKET = "/run/skywire/starter.sock"


class StartUnit(msgspec.Struct, frozen=True, tag_field="do", tag="start", forbid_unknown_fields=True):
    app: str
    id: int
    args: tuple[str, ...]


class StopUnit(msgspec.Struct, frozen=True, tag_field="do", tag="stop", forbid_unknown_fields=True):
    id: int
    signal: Signal


class ListUnits(msgspec.Struct, frozen=True, tag_field="do", tag="list", forbid_unknown_fields=True):
    pass


StarterRequest = StartUnit | StopUnit | ListUnits


class Unit(msgspec.Struct, frozen=True):
    """A transient unit of ours; `pid` is that of its main process, 0 when there is none."""

    id: int
    name: str
    pid: int
    unit: str
    active: bool


class StarterReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """`units` are those asked about; with `error` set, nothing was done, or with `unsure` perhaps something."""

    units: tuple[Unit, ...] = ()
    error: str | None = None
    unsure: bool = False
