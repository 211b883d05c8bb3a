"""What is said on the client's own socket, pure: one line of JSON asks, one answers.

{"do":"status"}  {"is":"status","phase":"up","summary":"…",…}
{"do":"off"}     {"is":"done"}         and the client takes everything down, the kill switch last, and ends
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from services import lines
from services.vpn.errors import AskError, TalkError

MAX_LINE = 64 * 1024


class Phase(StrEnum):
    SEARCHING = "searching"
    """There is no tunnel yet, or no more."""
    UP = "up"
    STOPPING = "stopping"
    STOPPED = "stopped"
    """No client runs."""


class GetStatus(msgspec.Struct, frozen=True, tag_field="do", tag="status", forbid_unknown_fields=True):
    """Answered by `Status`."""


class Off(msgspec.Struct, frozen=True, tag_field="do", tag="off", forbid_unknown_fields=True):
    """Of root or the client's own user. Answered by `Done` once everything is down."""


class PortalState(msgspec.Struct, frozen=True):
    gid: int
    left_s: int


class Status(msgspec.Struct, frozen=True, tag_field="is", tag="status"):
    """`blocked`: packets that the kill switch refused. `server` is a node id; `trouble` why there is no tunnel."""

    phase: Phase
    summary: str
    kill_switch: bool
    blocked: int = 0
    portals: tuple[PortalState, ...] = ()
    server: str = ""
    labels: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    dns: tuple[str, ...] = ()
    mtu: int = 0
    up_since_unix_s: int = 0
    changes: int = 0
    """How often a tunnel was set up."""
    trouble: str = ""


class Done(msgspec.Struct, frozen=True, tag_field="is", tag="done"):
    pass


class Refused(msgspec.Struct, frozen=True, tag_field="is", tag="refused"):
    why: str


Request = GetStatus | Off
Answer = Status | Done | Refused

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def line_reader() -> lines.LineReader:
    return lines.LineReader(MAX_LINE, TalkError)


def read_request(line: bytes) -> Request:
    """Raises TalkError."""
    return lines.decode(line, _requests, TalkError, "a request (ask status or off)")


def read_answer(line: bytes) -> Answer:
    """Raises AskError."""
    return lines.decode(line, _answers, AskError, "an answer")
