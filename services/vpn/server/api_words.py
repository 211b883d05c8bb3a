"""What is said on the server's own socket, pure: one line of JSON asks, one answers.

{"do":"status"}   {"is":"status","works":true,"summary":"…",…}
{"do":"clients"}  {"is":"clients","clients":[{"node_id":"31ab…","ipv4":"100.64.0.2",…}]}
"""

from __future__ import annotations

import msgspec

from services import lines
from services.vpn.errors import AskError, TalkError

MAX_LINE = 4 << 20


class GetStatus(msgspec.Struct, frozen=True, tag_field="do", tag="status", forbid_unknown_fields=True):
    """Answered by `Status`."""


class GetClients(msgspec.Struct, frozen=True, tag_field="do", tag="clients", forbid_unknown_fields=True):
    """Answered by `Clients`."""


class Status(msgspec.Struct, frozen=True, tag_field="is", tag="status"):
    """`uplink`: interfaces with a default route. `dropped`: packets by cause, see `ruleset.COUNTERS`; `refused`:
    connections by cause.
    """

    works: bool
    summary: str
    address: str
    port: int
    uplink: tuple[str, ...]
    ipv6: bool
    resolvers: tuple[str, ...]
    pools: tuple[str, ...]
    clients: int
    dropped: dict[str, int]
    refused: dict[str, int]


class ClientState(msgspec.Struct, frozen=True):
    """`sent` by the client and `received` by it, in bytes, since the server's table is there."""

    node_id: str
    ipv4: str
    ipv6: str | None
    mtu: int
    since_unix_s: int
    sent: int
    received: int
    used_bytes: int | None = None


class Clients(msgspec.Struct, frozen=True, tag_field="is", tag="clients"):
    clients: tuple[ClientState, ...]


class Refused(msgspec.Struct, frozen=True, tag_field="is", tag="refused"):
    why: str


Request = GetStatus | GetClients
Answer = Status | Clients | Refused

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def line_reader(max_line: int = MAX_LINE) -> lines.LineReader:
    return lines.LineReader(max_line, TalkError)


def read_request(line: bytes) -> Request:
    """Raises TalkError."""
    return lines.decode(line, _requests, TalkError, "a request (ask status or clients)")


def read_answer(line: bytes) -> Status | Clients:
    """Raises AskError."""
    answer = lines.decode(line, _answers, AskError, "an answer")
    if isinstance(answer, Refused):
        raise AskError(answer.why)
    return answer
