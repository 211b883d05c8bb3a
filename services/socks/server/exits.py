"""Carries requests out at the server: resolves, asks the policy, connects, and hands both ends to the relay."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from services.app.refusals import Refusals
from services.socks.model import NOWHERE, Command, IpAddress, Place, Reply, Request
from services.socks.policy import Policy
from services.socks.room.dial import Dial
from services.socks.room.front import Front
from services.socks.room.loop import Room
from services.socks.room.names import Names
from services.socks.server.datagrams import Datagrams
from services.socks.server.nearby import Nearby


class Exits:
    """`datagrams` is None where there is no UDP."""

    def __init__(
        self,
        room: Room,
        names: Names,
        policy: Policy,
        refusals: Refusals,
        connect_s: float,
        idle_s: float,
        datagrams: Datagrams | None = None,
    ) -> None:
        self._room, self._names, self._policy, self._refusals = room, names, policy, refusals
        self._connect_s, self._idle_s = connect_s, idle_s
        self.datagrams = datagrams
        self._nearby = Nearby(lambda: room.now_s)

    def serve(self, front: Front, request: Request) -> None:
        if request.command is Command.CONNECT:
            self._connect(front, request.place)
        elif request.command is Command.UDP_ASSOCIATE and self.datagrams is not None:
            self._associate(front, self.datagrams, request.place.port)
        else:
            name = request.command.name
            front.refuse(Reply.COMMAND_UNSUPPORTED, f"command {name}", f"asks for {name}, which is not served here")

    def permits(self, address: IpAddress, port: int) -> bool:
        """This machine and its neighbours are no part of the Internet either, unless they are allowed by name."""
        found = self._policy.permits(address, port)
        return not (self._nearby.holds(address) or is_own(address)) if found is None else found

    def _connect(self, front: Front, place: Place) -> None:
        if not isinstance(place.host, str):
            self._dial(front, place, [place.host])
            return
        waits = True

        def resolved(found: list[IpAddress] | Reply) -> None:
            if not waits:
                return
            front.left = None
            if isinstance(found, Reply):
                front.refuse(found)
            else:
                self._dial(front, place, found)

        def left() -> None:
            nonlocal waits
            waits = False

        front.left = left
        self._names.resolve(place.host, front.client, resolved)

    def _dial(self, front: Front, place: Place, addresses: Sequence[IpAddress]) -> None:
        permitted = [address for address in addresses if self.permits(address, place.port)]
        if not permitted:
            front.refuse(Reply.NOT_ALLOWED, "destination", f"{place} is not allowed (see `allow`)")
            return

        def ended(found: socket.socket | Reply) -> None:
            front.left = None
            if isinstance(found, Reply):
                front.refuse(found)
            else:
                front.join(found, NOWHERE)

        dial = Dial(self._room, permitted, place.port, self._connect_s, ended)
        front.left = dial.cancel
        dial.start()

    def _associate(self, front: Front, datagrams: Datagrams, port: int) -> None:
        clients = front.terms.clients
        over = clients.associate(front.client)
        if over is not None:
            front.refuse(Reply.NOT_ALLOWED, over, f"too many {over}")
            return
        association = datagrams.associate(front.client, port)

        def left() -> None:
            clients.dissociate(front.client)
            association.close()

        def look() -> None:
            if front.end.fileno() < 0:
                return
            rest_s = association.active_s + self._idle_s - self._room.now_s
            if rest_s <= 0:
                front.close()
            else:
                self._room.later(rest_s, look)

        front.left = left
        self._room.later(self._idle_s, look)
        if not front.stay(datagrams.place):
            front.close()


def is_own(address: IpAddress) -> bool:
    """Whether packets to it stay on this machine: then they would leave from that very address. Nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
        end.connect((str(address), 9))
        return ip_address(end.getsockname()[0].partition("%")[0]) == address
    return False
