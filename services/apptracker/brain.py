"""The directory itself: who is in it until when. Pure; time comes in as a monotonic clock's seconds.

A client is the host it calls from, so that one host cannot fill the directory.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from services.apptracker.errors import RefusedError
from services.apptracker.model import (
    LONGEST_LEASE_S,
    MAX_ENDPOINT,
    MAX_KEY,
    MAX_NAME,
    SHORTEST_LEASE_S,
    Deregister,
    Entries,
    Entry,
    Leased,
    Query,
    Register,
    Renew,
    Request,
)

MAX_ENTRIES = 4096
MAX_PER_CLIENT = 256
MAX_ANSWER = 1000
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}")
_ENDPOINT = re.compile(rf"[\x21-\x7e]{{1,{MAX_ENDPOINT}}}")
_KEY = re.compile(rf"(?:[0-9a-f]{{{MAX_KEY}}})?")


@dataclass(slots=True)
class _Lease:
    register: Register
    client: str
    ends_s: float


class Directory:
    """`make_lease` gives a secret nobody guesses; it is injected so that tests can foretell it."""

    def __init__(self, make_lease: Callable[[], str]) -> None:
        self._make_lease = make_lease
        self._leases: dict[str, _Lease] = {}
        self._ends: list[tuple[float, str]] = []
        self._per_client: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._leases)

    def answer(self, request: Request, client: str, now_s: float) -> Leased | Entries:
        """Raises RefusedError with the sentence for the client."""
        self.expire(now_s)
        match request:
            case Register():
                return self._register(request, client, now_s)
            case Renew(lease):
                held = self._find(lease)
                held.ends_s = now_s + held.register.lease_s
                return Leased(lease, held.register.lease_s)
            case Deregister(lease):
                self._find(lease)
                self._drop(lease)
                return Leased(lease, 0.0)
            case Query():
                return self._query(request, now_s)

    def expire(self, now_s: float) -> None:
        """Forget what was not renewed. A lease is over at its last instant, not after it."""
        while self._ends and self._ends[0][0] <= now_s:
            _, lease = heapq.heappop(self._ends)
            held = self._leases.get(lease)
            if held is None:
                continue
            if held.ends_s <= now_s:
                self._drop(lease)
            else:  # renewed since: look again when that is over
                heapq.heappush(self._ends, (held.ends_s, lease))

    def _register(self, request: Register, client: str, now_s: float) -> Leased:
        _check(request)
        if len(self._leases) >= MAX_ENTRIES:
            raise RefusedError(f"the directory is full ({MAX_ENTRIES} entries)")
        if self._per_client[client] >= MAX_PER_CLIENT:
            raise RefusedError(f"{MAX_PER_CLIENT} entries are registered from {client} already")
        lease = self._make_lease()
        self._leases[lease] = _Lease(request, client, now_s + request.lease_s)
        self._per_client[client] += 1
        heapq.heappush(self._ends, (now_s + request.lease_s, lease))
        return Leased(lease, request.lease_s)

    def _query(self, query: Query, now_s: float) -> Entries:
        entries = (_entry(held, now_s) for held in self._leases.values())
        return cut([entry for entry in entries if is_wanted(entry, query)])

    def _find(self, lease: str) -> _Lease:
        try:
            return self._leases[lease]
        except KeyError:
            raise RefusedError("no such lease: it ended or never was (register again)") from None

    def _drop(self, lease: str) -> None:
        client = self._leases.pop(lease).client
        self._per_client[client] -= 1
        if not self._per_client[client]:
            del self._per_client[client]


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def is_wanted(entry: Entry, query: Query) -> bool:
    return query.name in {None, entry.name} and query.type in {None, entry.type}


def cut(entries: list[Entry], *, more: bool = False, away: str = "") -> Entries:
    """Sorted, and no more than fit an answer."""
    entries.sort(key=lambda entry: (entry.name, entry.source, entry.endpoint))
    return Entries(tuple(entries[:MAX_ANSWER]), more or len(entries) > MAX_ANSWER, away)


def _entry(held: _Lease, now_s: float) -> Entry:
    register = held.register
    left_s = round(held.ends_s - now_s, 1)
    return Entry(register.name, register.endpoint, register.key, left_s, register.type)


def _check(request: Register) -> None:
    if not is_name(request.name):
        raise RefusedError(f"name {request.name[:80]!r} is not 1 to {MAX_NAME} of letters, digits, '.', '_', '-'")
    if request.type and not is_name(request.type):
        raise RefusedError(f"type {request.type[:80]!r} is not up to {MAX_NAME} of letters, digits, '.', '_', '-'")
    if not _ENDPOINT.fullmatch(request.endpoint):
        raise RefusedError(f"endpoint is not 1 to {MAX_ENDPOINT} printable characters without blanks")
    if not _KEY.fullmatch(request.key):
        raise RefusedError(f"key is not a public key of {MAX_KEY} lower-case hex digits")
    if not SHORTEST_LEASE_S <= request.lease_s <= LONGEST_LEASE_S:
        raise RefusedError(f"lease_s is not from {SHORTEST_LEASE_S:g} to {LONGEST_LEASE_S:g} seconds")
