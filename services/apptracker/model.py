"""The tracker's words. One line of JSON asks, one answers, in order, over TCP.

{"do":"register","name":"camera","type":"rtsp","endpoint":"192.0.2.7:554","lease_s":60}
{"lease":"9f…","lease_s":60.0}
{"do":"query","type":"rtsp"}
{"entries":[{"name":"camera","endpoint":"192.0.2.7:554","key":"","left_s":59.2,"type":"rtsp",…}],"more":false}
{"error":"no such lease"}

Who types by hand asks in plain words, `all`, `name NAME` or `type TYPE`, and gets a line for each entry, then an empty
one: name, type, endpoint, key or node id, seconds left, source, with - for what there is not.
"""

from __future__ import annotations

from typing import Literal

import msgspec

MAX_LINE = 4096
SHORTEST_LEASE_S, LONGEST_LEASE_S, USUAL_LEASE_S = 5.0, 3600.0, 60.0
MAX_NAME, MAX_ENDPOINT, MAX_KEY = 64, 256, 64


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class Register(_Request, tag="register", frozen=True):
    """Answered by `Leased`. `key` is the offerer's public key in hex, or empty; the tracker does not verify
    it. `type` is the kind of application, spelled as a name, or empty.
    """

    name: str
    endpoint: str
    key: str = ""
    lease_s: float = USUAL_LEASE_S
    type: str = ""


class Renew(_Request, tag="renew", frozen=True):
    """Answered by `Leased` with the same lease. Only who registered knows the lease."""

    lease: str


class Deregister(_Request, tag="deregister", frozen=True):
    """Answered by `Leased` with no time left."""

    lease: str


class Query(_Request, tag="query", frozen=True):
    """Answered by `Entries`: all of them, or those of one name, one type, or both."""

    name: str | None = None
    type: str | None = None


Request = Register | Renew | Deregister | Query


class Leased(msgspec.Struct, frozen=True):
    lease: str
    lease_s: float


class Entry(msgspec.Struct, frozen=True):
    """`source`: registered `here`, or a service of the `mesh`. That one has a `node_id`, which signed it, and `labels`;
    its name is its type; it is good for `left_s` without asking again, and its lease is the manager's.
    """

    name: str
    endpoint: str
    key: str
    left_s: float
    type: str = ""
    node_id: str = ""
    labels: tuple[str, ...] = ()
    source: Literal["here", "mesh"] = "here"


class Entries(msgspec.Struct, frozen=True):
    """`more` says that the answer was cut at `brain.MAX_ANSWER` entries, or the mesh's at what its manager tells at
    once: ask by name. `away` says why the mesh is not in it, or nothing.
    """

    entries: tuple[Entry, ...]
    more: bool = False
    away: str = ""


class Refusal(msgspec.Struct, frozen=True):
    error: str


Answer = Leased | Entries | Refusal
