"""The tracker's words. One line of JSON asks, one answers, in order, over TCP.

{"do":"register","name":"vpn","endpoint":"[fd53::1]:4000","key":"","lease_s":60}
{"lease":"9f…","lease_s":60.0}
{"do":"query","name":"vpn"}
{"entries":[{"name":"vpn","endpoint":"[fd53::1]:4000","key":"","left_s":59.2}],"more":false}
{"error":"no such lease"}
"""

from __future__ import annotations

import msgspec

MAX_LINE = 4096
SHORTEST_LEASE_S, LONGEST_LEASE_S, USUAL_LEASE_S = 5.0, 3600.0, 60.0
MAX_NAME, MAX_ENDPOINT, MAX_KEY = 64, 256, 64


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class Register(_Request, tag="register", frozen=True):
    """Answered by `Leased`. `key` is the offerer's public key in hex, or empty; the tracker does not verify
    it.
    """

    name: str
    endpoint: str
    key: str = ""
    lease_s: float = USUAL_LEASE_S


class Renew(_Request, tag="renew", frozen=True):
    """Answered by `Leased` with the same lease. Only who registered knows the lease."""

    lease: str


class Deregister(_Request, tag="deregister", frozen=True):
    """Answered by `Leased` with no time left."""

    lease: str


class Query(_Request, tag="query", frozen=True):
    """Answered by `Entries`: all of them, or those of one name."""

    name: str | None = None


Request = Register | Renew | Deregister | Query


class Leased(msgspec.Struct, frozen=True):
    lease: str
    lease_s: float


class Entry(msgspec.Struct, frozen=True):
    name: str
    endpoint: str
    key: str
    left_s: float


class Entries(msgspec.Struct, frozen=True):
    """`more` says that the answer was cut at `brain.MAX_ANSWER` entries: ask by name."""

    entries: tuple[Entry, ...]
    more: bool = False


class Refusal(msgspec.Struct, frozen=True):
    error: str


Answer = Leased | Entries | Refusal
