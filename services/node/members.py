"""Whom the manager beside this node lets in: a direct session for each member and for each other manager, and the port
of the bus, opened to them alone. Kept in RAM, so that a restart of the node closes no connection.
"""

from __future__ import annotations

import logging
from ipaddress import IPv6Network, ip_address

import msgspec

from services.addresses import session_address
from services.errors import IdentityError
from services.kernel.errors import KernelError
from services.kernel.model import SESSIONS, AllowedIp, Fact, Peer, granted, outer
from services.keys import NodeId, read_node_id, session_key
from services.node.api_words import Border, ManagerPeer, Member
from services.node.book import Book
from services.node.config import read_endpoint
from services.node.errors import MemberError, NodeError
from services.node.kept import Kept
from services.node.probes import Prober
from services.node.services import BORDER_PORT, MANAGERS_PORTS, Publisher
from services.node.session_words import KEEPALIVE_S

log = logging.getLogger(__name__)

BUS_PORT, CLUSTER_PORT = MANAGERS_PORTS
MAX_MEMBERS, MAX_ADDRESSES = 16384, 32

_FILE = "member-"


class Guest(msgspec.Struct, frozen=True):
    """`endpoint` is that of another manager's session socket, and empty for a member. `is_border`: that manager is of
    another cluster.
    """

    node_id: NodeId
    addresses: tuple[str, ...]
    endpoint: str = ""
    is_border: bool = False

    @property
    def ports(self) -> tuple[int, ...]:
        """Of the manager here."""
        if self.is_border:
            return (BORDER_PORT,)
        return MANAGERS_PORTS if self.endpoint else (BUS_PORT,)


class Members:
    """Raises MemberError for what makes no sense, KernelError, KeptError."""

    def __init__(
        self, me: NodeId, probe_port: int, book: Book, prober: Prober, kept: Kept, publisher: Publisher
    ) -> None:
        self._me, self._probe_port = me, probe_port
        self._book, self._prober, self._kept, self._publisher = book, prober, kept, publisher
        self._guests: dict[NodeId, Guest] = {}

    @property
    def ids(self) -> tuple[NodeId, ...]:
        return tuple(self._guests)

    async def restore(self) -> None:
        """What was kept, into the book."""
        for name in self._kept.names(_FILE):
            guest = self._kept.read(name, Guest)
            try:
                if guest is None or name != _FILE + guest.node_id:
                    raise MemberError("not understood")
                await self._put(guest)
            except (NodeError, KernelError, IdentityError, ValueError) as error:
                log.warning("'%s' is forgotten: %s", name, error)
                self._kept.remove(name)

    async def take(self, wanted: Member | ManagerPeer | Border) -> None:
        guest = self._read(wanted)
        old = self._guests.get(guest.node_id)
        if isinstance(wanted, Member) and old is not None and old.endpoint and not old.is_border:
            guest = msgspec.structs.replace(guest, endpoint=old.endpoint)
        if old is None and len(self._guests) >= MAX_MEMBERS:
            raise MemberError(f"there are {MAX_MEMBERS} members here already")
        await self._put(guest)
        self._kept.write(_FILE + guest.node_id, guest)
        if old is not None and wanted.renew:
            await self._book.renew((Peer, SESSIONS, session_key(guest.node_id)))

    async def drop(self, node_id: NodeId) -> None:
        """It is no error that there is none."""
        if self._guests.pop(node_id, None) is None:
            return
        self._kept.remove(_FILE + node_id)
        self._prober.forget(session_address(node_id), by=_FILE)
        await self._publisher.take_member(node_id, "", by=_FILE)
        await self._book.set(_owner(node_id), ())

    async def _put(self, guest: Guest) -> None:
        await self._book.set(_owner(guest.node_id), self._facts(guest))
        if guest.node_id not in self._guests:
            self._prober.know(session_address(guest.node_id), guest.node_id, by=_FILE)
            if not guest.is_border:
                await self._publisher.take_member(guest.node_id, self._me, by=_FILE)
        self._guests[guest.node_id] = guest

    def _read(self, wanted: Member | ManagerPeer | Border) -> Guest:
        try:
            node_id = read_node_id(wanted.node_id)
            if isinstance(wanted, ManagerPeer):
                guest = Guest(node_id, (str(read_endpoint(wanted.endpoint).address),), wanted.endpoint)
            elif isinstance(wanted, Border):
                if wanted.endpoint:
                    read_endpoint(wanted.endpoint)
                addresses = tuple(str(ip_address(text)) for text in wanted.addresses)
                guest = Guest(node_id, addresses, wanted.endpoint, is_border=True)
            else:
                guest = Guest(node_id, tuple(str(ip_address(text)) for text in wanted.addresses))
        except (IdentityError, ValueError) as error:
            raise MemberError(f"no member can be so: {error}") from None
        if node_id == self._me:
            raise MemberError("this node is the manager's own: it is no member of itself")
        if len(guest.addresses) > MAX_ADDRESSES:
            raise MemberError(f"a member has at most {MAX_ADDRESSES} addresses, not {len(guest.addresses)}")
        return guest

    def _facts(self, guest: Guest) -> list[Fact]:
        key, there = session_key(guest.node_id), session_address(guest.node_id)
        peer = Peer(SESSIONS, key)
        if guest.endpoint:
            peer = Peer(SESSIONS, key, read_endpoint(guest.endpoint), KEEPALIVE_S)
        return [
            peer,
            AllowedIp(SESSIONS, IPv6Network(there), key),
            granted(there, "udp", self._probe_port),
            *(granted(there, "tcp", port) for port in guest.ports),
            *(outer(ip_address(address)) for address in guest.addresses),
        ]


def _owner(node_id: NodeId) -> str:
    return f"member:{node_id}"
