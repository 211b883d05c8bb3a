"""The outbox in the store: what waits for whom, what came there, and what was refused there or waited for too long."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from services.keys import NodeId
from services.messenger import mailbox, messages
from services.messenger.change import Change, Posted
from services.messenger.errors import StoreError
from services.messenger.model import NEVER_BOXED
from services.messenger.wire import pack_body, read_body

log = logging.getLogger(__name__)

GIVE_UP_S = 60 * 86400.0
"""A post that nobody took for so long has failed."""


def peers_waited_for(change: Change) -> list[NodeId]:
    return [peer for (peer,) in change.all("SELECT DISTINCT peer FROM outbox")]


def waiting(change: Change, peer: NodeId, after: int, limit: int, *, unboxed: bool = False) -> list[Posted]:
    """In order. `unboxed`: those that lie in no mailbox yet, and may."""
    found = []
    where = "AND state = 'waiting' " if unboxed else ""
    rows = change.all(
        f"SELECT number, message, body FROM outbox WHERE peer = ? AND number > ? {where}ORDER BY number LIMIT ?",  # noqa: S608
        *(peer, after, limit),
    )
    for number, message, locked in rows:
        if message is None:
            body = _unlocked(change, locked)
        else:
            said = messages.body_of(change, message)
            body = b"" if said is None else pack_body(said)
        if not (unboxed and body and isinstance(read_body(body), NEVER_BOXED)):
            found.append(Posted(peer, number, body))
    return found


def _unlocked(change: Change, locked: bytes) -> bytes:
    """Empty where the key is gone: the other end refuses that, and so it fails."""
    try:
        return change.own.keys.locker.unlock(locked)
    except StoreError as error:
        log.warning("%s", error)
        return b""


def arrived(change: Change, peer: NodeId, numbers: Iterable[int]) -> None:
    for number in numbers:
        row = change.one("DELETE FROM outbox WHERE peer = ? AND number = ? RETURNING message", peer, number)
        if row is None:
            continue
        if row[0] is None:
            mailbox.handed_over(change, peer, number)
        else:
            messages.progress(change, row[0], peer, "delivered")


def refused(change: Change, peer: NodeId, number: int, why: str) -> None:
    row = change.one("DELETE FROM outbox WHERE peer = ? AND number = ? RETURNING message", peer, number)
    if row is None:
        return
    if row[0] is None:
        mailbox.handed_over(change, peer, number)
        log.info("'%s' refused what was posted to it: %s", peer, why)
    else:
        messages.progress(change, row[0], peer, "failed", why)


def held(change: Change, peer: NodeId, number: int, why: str) -> None:
    """It is not wanted there now, and tried again."""
    row = change.one("SELECT message FROM outbox WHERE peer = ? AND number = ?", peer, number)
    if row is not None and row[0] is not None:
        messages.progress(change, row[0], peer, "waiting", why)


def boxed(change: Change, peer: NodeId, numbers: Sequence[int]) -> None:
    """They lie in a mailbox, and are tried on all the same until the receiver says that it has them."""
    for number in numbers:
        row = change.one(
            "UPDATE outbox SET state = 'boxed' WHERE peer = ? AND number = ? RETURNING message", peer, number
        )
        if row and row[0] is not None:
            messages.progress(change, row[0], peer, "boxed")


def give_up(change: Change) -> None:
    """What waited for too long; what is kept in a mailbox here has a time of its own."""
    rows = change.all(
        "SELECT peer, number FROM outbox WHERE made_ms < ? AND NOT EXISTS "
        "(SELECT 1 FROM boxed WHERE boxed.peer = outbox.peer AND boxed.number = outbox.number) LIMIT 1000",
        change.own.now_ms() - int(GIVE_UP_S * 1000),
    )
    for peer, number in rows:
        refused(change, peer, number, f"it could not be reached for {GIVE_UP_S / 86400:.0f} days")
