"""Decides who of those at the door may come in, and does what follows: record, ledger, the node here, the answer.

A member comes back without a token. Nobody is answered before the node here lets them in.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from ipaddress import ip_address

import msgspec

from services.keys import NodeId
from services.manager import clock
from services.manager.admission import Asked, ManagerEnd
from services.manager.config import Join, read_place
from services.manager.errors import ConflictError, JoinError, LocalNodeError, WordsError
from services.manager.invites import PAIRING_S, Rules, check_allowed
from services.manager.members import Members
from services.manager.model import LedgerEntry
from services.manager.registry import Registry
from services.manager.store import Store

log = logging.getLogger(__name__)

SPEND_TRIES = 8
"""Each of several who spend the same invitation at once loses to another at most so often."""

Token = Callable[[NodeId], str]


class Gatekeeper:
    """`managers` are all of the cluster, `bus_urls` where their buses are, `make_token` makes a node's for it."""

    def __init__(
        self,
        managers: tuple[NodeId, ...],
        bus_urls: tuple[str, ...],
        make_token: Token,
        rules: Join,
        store: Store,
        registry: Registry,
        members: Members,
    ) -> None:
        self._managers, self._bus_urls, self._make_token, self._rules = managers, bus_urls, make_token, rules
        self._store, self._registry, self._members = store, registry, members
        self._pairing_until_s = 0.0
        self.came_from_outside = False

    def pair(self, lasts_s: float = PAIRING_S) -> None:
        """Whoever comes meanwhile is let in, as while somebody presses the button."""
        self._pairing_until_s = time.monotonic() + lasts_s

    @property
    def is_pairing(self) -> bool:
        return time.monotonic() < self._pairing_until_s

    async def admit(self, end: ManagerEnd, asked: Asked, seen_from: str) -> bytes:
        """What to answer. Raises JoinError, other ManagerErrors."""
        node_id, is_own = asked.node_id, asked.node_id in self._managers
        is_new = await self._store.signed_record(node_id) is None
        if not is_own:
            if self._registry.nodes.get(self._managers[0]) is None:
                raise JoinError("this manager's own node has not joined it yet: try again in a moment")
            await self._check_may(asked, is_new=is_new)
        await self._take(asked, is_new=is_new, is_own=is_own, address=read_place(seen_from)[0])
        records = [self._registry.nodes[one].signed for one in self._managers if one in self._registry.nodes]
        self.came_from_outside |= ip_address(read_place(seen_from)[0]).is_global
        log.info("node '%s' joined from '%s'", node_id, seen_from)
        return end.admit(self._make_token(node_id), self._bus_urls, self._managers, tuple(records), seen_from)

    async def _check_may(self, asked: Asked, *, is_new: bool) -> None:
        """Raises JoinError; else one use of an invitation may have been spent."""
        node_id = asked.node_id
        is_expelled = await self._store.is_expelled(node_id)
        if not is_new and not is_expelled:
            return
        named = frozenset() if is_expelled else frozenset(self._rules.allowed)
        rules = Rules(self._rules.admit == "open", named | self._registry.allowed, self._pairing_until_s)
        expelled = {node_id} if is_expelled else set[NodeId]()
        if check_allowed(node_id, asked.token, rules, expelled, time.monotonic()):
            await self._spend(asked.token)
        if is_expelled:
            await self._store.readmit(node_id)

    async def _spend(self, token: str) -> None:
        if not clock.is_set():
            raise JoinError("this manager does not know the time yet, and invitations end: try again in a minute")
        for _ in range(SPEND_TRIES):
            try:
                await self._store.spend_invitation(token, int(time.time()))
            except ConflictError:
                continue
            return
        raise JoinError("too many use this invitation at once: try again")

    async def _take(self, asked: Asked, *, is_new: bool, is_own: bool, address: str) -> None:
        node_id = asked.node_id
        try:
            await self._store.put_record(asked.signed_record)
        except WordsError as error:
            raise JoinError(str(error)) from None
        self._registry.note(node_id, asked.signed_record, address)
        if is_new:
            now = int(time.time())
            body = msgspec.Raw(msgspec.json.encode({"from": address}))
            await self._store.append(LedgerEntry(f"admitted-{node_id}-{now}", "admitted", node_id, now, body))
        if is_own:
            return
        await self._store.put_member(node_id, address)
        try:
            await self._members.welcome(node_id, self._registry.underlay_addresses(node_id))
        except LocalNodeError as error:
            log.warning("node '%s' cannot be let in: %s", node_id, error)
            raise JoinError("this manager's own node is away: try again in a moment") from None
