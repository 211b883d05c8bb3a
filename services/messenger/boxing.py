"""Lays what waits for a peer that is away into its mailbox, sealed, if it told of one. The post stays here as well,
until the peer itself says that it arrived.
"""

from __future__ import annotations

import asyncio
import itertools
import logging

from services.keys import NodeId
from services.messenger import delivery, mailbox
from services.messenger.book import Book
from services.messenger.change import Change, Posted
from services.messenger.errors import PeerKeyError, UnreachableError
from services.messenger.link import Link
from services.messenger.model import Boxed, MailboxPlace
from services.messenger.switchboard import Switchboard
from services.messenger.wire import Deposit, Deposited

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 15.0
AT_ONCE = 64


class Boxer:
    def __init__(self, board: Switchboard, book: Book) -> None:
        self._board, self._book = board, book
        self._tickets = itertools.count(1)
        self._asked: dict[int, tuple[Link, asyncio.Future[str]]] = {}

    async def box(self, peer: NodeId) -> None:
        """All that waits for it and lies in no mailbox yet, if there is one that answers. Raises StoreError."""
        key, places = await self._book.read(lambda change: mailbox.places_of(change, peer))
        own = self._book.own
        for place in places if key and own.vouch else ():
            if place.node_id == own.me:
                continue
            try:
                assert key is not None
                await self._box_at(place, peer, key)
            except (UnreachableError, TimeoutError) as error:
                log.debug("no mailbox of '%s' at '%s': %s", peer, place.node_id, error or "no answer")
                continue
            return

    async def _box_at(self, place: MailboxPlace, peer: NodeId, key: NodeId) -> None:
        """Raises UnreachableError, TimeoutError."""
        after = 0
        while rows := await self._book.read(lambda change: _unboxed(change, peer, after)):  # noqa: B023 (at once)
            after = rows[-1].number
            link = self._board.link(place.node_id) or await self._board.dial(place.node_id)
            tickets = {row.number: self._deposit(link, place, peer, key, row) for row in rows}
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answers = await asyncio.gather(*tickets.values())
            kept = [number for number, why in zip(tickets, answers, strict=True) if not why]
            await self._book.write(lambda change: delivery.boxed(change, peer, kept))  # noqa: B023 (awaited at once)
            if refusals := [why for why in answers if why]:
                raise UnreachableError(f"'{place.node_id}' does not keep it: {refusals[0]!a}")

    def _deposit(self, link: Link, place: MailboxPlace, peer: NodeId, key: NodeId, row: Posted) -> asyncio.Future[str]:
        own, ticket = self._book.own, next(self._tickets)
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        try:
            item = Boxed(own.me, own.stream, row.number, row.body, own.vouch, b"")
            sealed = own.keys.seal(key, peer, item)
        except PeerKeyError as error:
            future.set_result(str(error))
            return future
        self._asked[ticket] = (link, future)
        future.add_done_callback(lambda _: self._asked.pop(ticket, None))
        link.say(Deposit(ticket, peer, place.token, sealed))
        return future

    def hear(self, link: Link, word: Deposited) -> None:
        asked = self._asked.get(word.ticket)
        if asked is not None and asked[0] is link and not asked[1].done():
            asked[1].set_result(word.why)

    def link_down(self, link: Link) -> None:
        for asked, future in list(self._asked.values()):
            if asked is link and not future.done():
                future.set_result("the connection ended")


def _unboxed(change: Change, peer: NodeId, after: int) -> list[Posted]:
    return delivery.waiting(change, peer, after, AT_ONCE, unboxed=True)
