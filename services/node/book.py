"""What is wanted of the kernel, by owner: own, link:<id>, label:<route>, session:<id>, manager:<id>, member:<id>, ….

Several owners may want the same fact; it goes when the last of them gives it up. Of two peers with one key, the one of
the owner that decides more (`RANKS`) gives the endpoint, and the larger keepalive holds. Any other disagreement is
refused before anything is touched. The price of a change does not grow with what there is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.kernel.errors import WantedError
from services.kernel.model import Device, Fact, Key, Link, LinkKind, Peer, Report, known
from services.kernel.plan import check, named, needs
from services.node.kernel_thread import Kernel

log = logging.getLogger(__name__)

RANKS = ("session", "link", "manager", "member")
"""Whose endpoint counts, the first the most: a session fails over, a member's peer is only let in."""

Facts = tuple[Fact, ...]


class Book:
    """Methods raise WantedError when facts contradict each other or lack what they need; then nothing has changed."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._held: dict[str, Facts] = {}
        self._owners: dict[Key, str | tuple[str, ...]] = {}
        self._wanted: dict[Key, Fact] = {}
        self._dependents: Counter[Key] = Counter()
        self._is_started = False
        self.dirty = asyncio.Event()
        """Something failed, and waits for `reconcile`."""

    @property
    def owners(self) -> tuple[str, ...]:
        return tuple(self._held)

    def holds(self, owner: str) -> bool:
        return owner in self._held

    def wanted(self, key: Key) -> Fact | None:
        """What all owners together want of it."""
        return self._wanted.get(key)

    async def set(self, owner: str, facts: Iterable[Fact]) -> Report:
        """Replaces what that owner holds; before `start` it is only written down."""
        return await self.set_many({owner: facts})

    async def set_many(self, changes: Mapping[str, Iterable[Fact]]) -> Report:
        """All of it in one change of the kernel; no facts remove the owner. The report tells what failed; that is
        tried again by `reconcile`, unless it is given up before.
        """
        new = {owner: tuple(known(facts).values()) for owner, facts in changes.items()}
        old = {owner: self._held.get(owner, ()) for owner in new}
        touched = {fact.key: None for facts in (*old.values(), *new.values()) for fact in facts}
        before = {key: self._wanted.get(key) for key in touched}
        try:
            self._write(new)
            self._merge(touched)
            self._check(touched)
        except WantedError:
            self._write(old)
            self._merge(touched)
            raise
        put = [fact for key in touched if (fact := self._wanted.get(key)) is not None and fact != before[key]]
        drop = [fact for key, fact in before.items() if fact is not None and key not in self._wanted]
        if not self._is_started or not (put or drop):
            return Report()
        return self._told(await self._kernel.amend(put, drop))

    async def start(self) -> Report:
        """The first bring: what the kernel has already is adopted."""
        for fact in self._wanted.values():
            check(fact, self._wanted)
        self._is_started = True
        return self._told(await self._kernel.bring(dict(self._wanted)))

    async def reconcile(self) -> Report:
        """Looks at the kernel anew and mends whatever is not as wanted."""
        self.dirty.clear()
        return self._told(await self._kernel.bring(dict(self._wanted), anew=True))

    async def clear(self) -> Report:
        """Takes everything of ours out of the kernel."""
        self._held, self._owners, self._wanted, self._dependents = {}, {}, {}, Counter()
        return await self._kernel.bring({}, anew=True)

    async def renew(self, peer_key: Key) -> Report:
        """Removes the peer and adds it again: see `plan.renew`. Nothing is done for one that nobody wants."""
        peer = self._wanted.get(peer_key)
        if not isinstance(peer, Peer) or not self._is_started:
            return Report()
        return self._told(await self._kernel.renew(peer))

    def _told(self, report: Report) -> Report:
        if report.failed:
            self.dirty.set()
            for failure in report.failed[:5]:
                log.warning("not done: %s %s: %s", type(failure.change).__name__, failure.change.fact, failure.reason)
        return report

    def _write(self, changes: Mapping[str, Facts]) -> None:
        for owner, facts in changes.items():
            for fact in self._held.pop(owner, ()):
                self._leave(owner, fact.key)
            for fact in facts:
                have = self._owners.get(fact.key)
                self._owners[fact.key] = owner if have is None else (*_several(have), owner)
            if facts:
                self._held[owner] = facts

    def _leave(self, owner: str, key: Key) -> None:
        left = tuple(other for other in _several(self._owners.pop(key)) if other != owner)
        if left:
            self._owners[key] = left[0] if len(left) == 1 else left

    def _merge(self, keys: Iterable[Key]) -> None:
        """Raises WantedError after all of them are merged as far as they can be."""
        wrong: WantedError | None = None
        for key in keys:
            have, found = self._wanted.get(key), None
            try:
                found = self._find(key)
            except WantedError as error:
                wrong, found = error, have
            if (needed := needs(have) if have is not None else None) is not None:
                self._dependents[needed] -= 1
            if found is None:
                self._wanted.pop(key, None)
                continue
            self._wanted[key] = found
            if (needed := needs(found)) is not None:
                self._dependents[needed] += 1
        if wrong is not None:
            raise wrong

    def _find(self, key: Key) -> Fact | None:
        owners = _several(self._owners.get(key, ()))
        facts = [(owner, fact) for owner in owners for fact in self._held[owner] if fact.key == key]
        if not facts:
            return None
        first = facts[0][1]
        if all(fact == first for _, fact in facts[1:]):
            return first
        if isinstance(first, Peer):
            return _one_peer([(owner, fact) for owner, fact in facts if isinstance(fact, Peer)])
        told = "; ".join(f"'{owner}' wants '{fact}'" for owner, fact in facts)
        raise WantedError(f"{told}: there can be one of them")

    def _check(self, keys: Iterable[Key]) -> None:
        for key in keys:
            fact = self._wanted.get(key)
            if fact is not None:
                check(fact, self._wanted)
            elif self._dependents[key] > 0:
                raise WantedError(f"'{named(key)}' is still needed by {self._dependents[key]} other facts: drop those")
            else:
                self._dependents.pop(key, None)
            if key[0] is Device and fact is None and _is_tunnel(self._wanted.get((Link, key[1]))):
                raise WantedError(f"interface '{key[1]}' cannot be without its key")


def _several(owners: str | tuple[str, ...]) -> tuple[str, ...]:
    return (owners,) if isinstance(owners, str) else owners


def _one_peer(facts: list[tuple[str, Peer]]) -> Peer:
    first = facts[0][1]
    with_endpoint = [(_rank(owner), fact.endpoint) for owner, fact in facts if fact.endpoint is not None]
    endpoint = min(with_endpoint, key=lambda found: found[0])[1] if with_endpoint else None
    return replace(first, endpoint=endpoint, keepalive_s=max(fact.keepalive_s for _, fact in facts))


def _rank(owner: str) -> int:
    kind = owner.partition(":")[0]
    return RANKS.index(kind) if kind in RANKS else len(RANKS)


def _is_tunnel(fact: Fact | None) -> bool:
    return isinstance(fact, Link) and fact.kind is LinkKind.WIREGUARD
