"""UDP ASSOCIATE at the server (RFC 1928, section 7).

Each datagram carries a head of its own that must come off or on, and Linux has no call that forwards a datagram between
two sockets with another head: so these alone of all payload pass through Python. What that may cost is bounded: so many
datagrams a second of one association, so many in one turn, so many associations of one client.

All clients send to one port, which is published beside the server's; an association is known by whence it is sent to.
"""

from __future__ import annotations

import contextlib
import socket
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address

from services.app.refusals import Refusals
from services.socks.errors import WireError
from services.socks.model import IpAddress, Place, Reply
from services.socks.room.loop import IN, Room
from services.socks.room.names import Names
from services.socks.wire.datagram import encode_head, read_datagram

MOST_PER_SECOND = 5000
IN_ONE_TURN = 64
MOST_PLACES, MOST_NAMES = 256, 32
NAME_LIVES_S = 30.0
WAITING_FOR_A_NAME = 16
BUFFER_BYTES = 1 << 20
_LARGEST = 65_535

Permits = Callable[[IpAddress, int], bool]
Sender = tuple[str, int]


def bind(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    end = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        end.bind((host, port))
    except OSError:
        end.close()
        raise
    return end


class Datagrams:
    """The port that clients send to, and who may: owner of `end`, which `bind` gave."""

    def __init__(self, room: Room, end: socket.socket, names: Names, permits: Permits, refusals: Refusals) -> None:
        self.room, self.end, self.names, self.permits, self.refusals = room, end, names, permits, refusals
        self._known: dict[Sender, Association] = {}
        self._expected: dict[str, list[Association]] = {}
        room.watch(end.fileno(), self._take, IN)

    @property
    def place(self) -> Place:
        host, port = self.end.getsockname()[:2]
        return Place(ip_address(host), port)

    def associate(self, client: str, port: int) -> Association:
        """`port` is what the client says it will send from, or 0; then the first datagram of its address tells."""
        association = Association(self, client)
        if port and (client, port) not in self._known:
            self.know(association, (client, port))
        else:
            self._expected.setdefault(client, []).append(association)
        return association

    def know(self, association: Association, sender: Sender) -> None:
        association.sender = sender
        self._known[sender] = association

    def forget(self, association: Association) -> None:
        if association.sender is not None:
            del self._known[association.sender]
            return
        expected = self._expected[association.client]
        expected.remove(association)
        if not expected:
            del self._expected[association.client]

    def close(self) -> None:
        self.room.forget(self.end.fileno())
        self.end.close()

    def _take(self, _events: int) -> None:
        for _ in range(IN_ONE_TURN):
            try:
                data, address = self.end.recvfrom(_LARGEST)
            except OSError:
                return
            association = self._of((address[0], address[1]))
            if association is not None:
                association.send_out(data)

    def _of(self, sender: Sender) -> Association | None:
        association = self._known.get(sender)
        if association is None and (expected := self._expected.get(sender[0])):
            association = expected[0]
            self.forget(association)
            self.know(association, sender)
        return association


class Association:
    """One client's: answers come in only from places that it has sent to."""

    def __init__(self, port: Datagrams, client: str) -> None:
        self._port, self.client = port, client
        self.sender: Sender | None = None
        self.active_s = port.room.now_s
        self._ends: dict[int, socket.socket] = {}
        self._places: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._addresses: OrderedDict[str, tuple[float, IpAddress]] = OrderedDict()
        self._waiting: dict[str, list[tuple[int, bytes]]] = {}
        self._second, self._count = 0, 0
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._port.forget(self)
        for end in self._ends.values():
            self._port.room.forget(end.fileno())
            end.close()

    def send_out(self, data: bytes) -> None:
        """What the client sent, head and all. What cannot be sent is dropped, as UDP is."""
        refusals = self._port.refusals
        if not self._may_pass():
            refusals.note("UDP rate", f"{self.client}: more than {MOST_PER_SECOND} datagrams a second")
            return
        try:
            place, start = read_datagram(data)
        except WireError as error:
            refusals.note("datagram", f"{self.client}: {error}")
            return
        if isinstance(place.host, str):
            self._send_by_name(place.host, place.port, data[start:])
        else:
            self._send(place.host, place.port, data[start:])

    def _may_pass(self) -> bool:
        now_s = self._port.room.now_s
        self.active_s = now_s
        if int(now_s) != self._second:
            self._second, self._count = int(now_s), 0
        self._count += 1
        return self._count <= MOST_PER_SECOND

    def _send_by_name(self, name: str, port: int, payload: bytes) -> None:
        known = self._addresses.get(name)
        if known is not None and known[0] > self._port.room.now_s:
            self._send(known[1], port, payload)
        elif (waiting := self._waiting.get(name)) is not None:
            if len(waiting) < WAITING_FOR_A_NAME:
                waiting.append((port, payload))
        elif len(self._waiting) < MOST_NAMES:
            self._waiting[name] = [(port, payload)]
            self._port.names.resolve(name, self.client, lambda found: self._named(name, found))

    def _named(self, name: str, found: list[IpAddress] | Reply) -> None:
        waiting = self._waiting.pop(name, [])
        if self._closed or isinstance(found, Reply):
            return
        self._addresses[name] = (self._port.room.now_s + NAME_LIVES_S, found[0])
        if len(self._addresses) > MOST_NAMES:
            self._addresses.popitem(last=False)
        for port, payload in waiting:
            self._send(found[0], port, payload)

    def _send(self, address: IpAddress, port: int, payload: bytes) -> None:
        if not port or not self._port.permits(address, port):
            self._port.refusals.note("UDP destination", f"{self.client}: {Place(address, port)} is not allowed")
            return
        with contextlib.suppress(OSError):
            self._end(address.version).sendto(payload, (str(address), port))
            self._places[str(address), port] = None
            self._places.move_to_end((str(address), port))
            if len(self._places) > MOST_PLACES:
                self._places.popitem(last=False)

    def _end(self, version: int) -> socket.socket:
        end = self._ends.get(version)
        if end is None:
            end = self._ends[version] = bind("0.0.0.0" if version == 4 else "::", 0)  # noqa: S104 (any uplink)
            self._port.room.watch(end.fileno(), lambda _events: self._take(end), IN)
        return end

    def _take(self, end: socket.socket) -> None:
        for _ in range(IN_ONE_TURN):
            try:
                data, address = end.recvfrom(_LARGEST)
            except OSError:
                return
            host = address[0].partition("%")[0]
            if (host, address[1]) in self._places and self.sender is not None and self._may_pass():
                with contextlib.suppress(OSError):
                    head = encode_head(Place(ip_address(host), address[1]))
                    self._port.end.sendto(head + data, self.sender)
