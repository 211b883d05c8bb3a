"""Whether this node is let in, and by whom: its admission, kept in RAM, and the sessions with managers it brings.

A restarted process goes on with the admission it kept and joins nobody: its sessions stand in the kernel. Joining again
is for a bus that is away, at the configured manager that answers first; that manager's node then forgets this node's
clock and learns its address, and the session is made anew.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address

import msgspec

from services.errors import IdentityError
from services.kernel.model import IpAddress, IpNetwork
from services.keys import Identity, NodeId
from services.manager.errors import WordsError
from services.node.admission import Admission, manager_facts, peer_key, read_admission, token_life_s
from services.node.book import Book
from services.node.config import ManagerAt
from services.node.errors import AwayError, RefusedError
from services.node.join import Joined, join
from services.node.kept import Kept
from services.node.manager_addresses import ManagerAddresses
from services.node.nearest import first_of
from services.node.orders import Orders
from services.node.own_record import OwnRecord

log = logging.getLogger(__name__)

USUAL_TOKEN_S = 86400.0

_FILE = "admission"


class Membership:
    def __init__(
        self,
        identity: Identity,
        places: tuple[ManagerAt, ...],
        networks: tuple[IpNetwork, ...],
        own: OwnRecord,
        book: Book,
        orders: Orders,
        ram: Kept,
        card: Kept,
    ) -> None:
        """`places` are the managers of the configuration; `networks` those where managers are looked for."""
        self.places = places
        self._identity, self._me, self._networks = identity, identity.node_id, networks
        self._own, self._book, self._orders, self._ram = own, book, orders, ram
        self.admission = _of_places(ram.read(_FILE, Admission), places)
        self._addresses = ManagerAddresses(card)
        self._turn = 0
        self.on_joined: Callable[[NodeId], Awaitable[None]] = _nobody

    async def restore(self) -> None:
        """The sessions with managers that were kept, into the book."""
        if self.admission is not None:
            try:
                await self._put_managers(self.admission)
            except (WordsError, IdentityError, ValueError) as error:
                log.warning("the kept admission is passed over: %s", error)
                self.admission = None

    @property
    def token(self) -> str:
        return self.admission.token if self.admission is not None else ""

    @property
    def token_life_s(self) -> float:
        return token_life_s(self.token) or USUAL_TOKEN_S

    def renew(self, token: str) -> None:
        """Raises KeptError."""
        if self.admission is not None:
            self.admission = msgspec.structs.replace(self.admission, token=token)
            self._ram.write(_FILE, self.admission)

    async def join(self) -> Admission:
        """By the configured manager that answers first, beginning with another each time. Raises RefusedError,
        AwayError, KernelError.
        """
        turn = self._turn % len(self.places)
        self._turn += 1
        try:
            joined = await first_of(
                [*self.places[turn:], *self.places[:turn]],
                lambda at: join(self._identity, self._own.signed, at, self._addresses.find),
            )
        except (RefusedError, AwayError) as error:
            if self._own.outrun(str(error)):
                self._turn -= 1
            raise
        log.info("admitted by manager '%s'", joined.manager)
        return await self._take(joined)

    async def _take(self, joined: Joined) -> Admission:
        known = self.admission.places if self.admission is not None else {}
        places: dict[NodeId, IpAddress] = {node_id: ip_address(place) for node_id, place in known.items()}
        places |= _configured(self.places) | {joined.manager: joined.address}
        admission = read_admission(joined.admitted, places, self._networks)
        had = f"manager:{joined.manager}" in self._book.owners
        await self.on_joined(joined.manager)
        await self._put_managers(admission)
        if had:  # the manager's node has just forgotten the session
            await self._book.renew(peer_key(joined.manager))
        await self._orders.trust(admission.managers)
        self.admission = admission
        self._ram.write(_FILE, admission)
        return admission

    async def _put_managers(self, admission: Admission) -> None:
        """Raises WordsError, KernelError, NodeError."""
        changes = {owner: () for owner in self._book.owners if owner.startswith("manager:")}
        facts = {
            f"manager:{node_id}": manager_facts(record, admission.places[node_id])
            for node_id, record in admission.read_records().items()
            if node_id != self._me and node_id in admission.places
        }
        await self._book.set_many({**changes, **facts})


def _of_places(kept: Admission | None, places: tuple[ManagerAt, ...]) -> Admission | None:
    """What was kept, unless every place names its manager now and none of those had admitted: it is another network."""
    if kept is None or not places:
        return None
    named = {place.id for place in places}
    return kept if None in named or named & set(kept.managers) else None


async def _nobody(_: NodeId) -> None:
    """Whose joining nobody follows."""


def _configured(places: tuple[ManagerAt, ...]) -> dict[NodeId, IpAddress]:
    """Where the configuration says that managers are, as far as it does so by id and address."""
    found = {}
    for place in places:
        if place.id is not None:
            with suppress(ValueError):
                found[place.id] = ip_address(place.at.split_port()[0])
    return found
