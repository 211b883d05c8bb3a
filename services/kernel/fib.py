"""The door to the routes: many at a time, each with its own answer. Only routes with its protocol number are seen."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

from services.kernel.errors import DoorError
from services.kernel.messages import NESTED, NetlinkSocket, attribute, attributes
from services.kernel.model import METRIC, PROTOCOL, Change, IpAddress, Put, Route

ROUTING = 0
NEW, DELETE, GET = 24, 25, 26
CREATE, REPLACE = 0x400, 0x100
DESTINATION, DEVICE, GATEWAY, PRIORITY, SOURCE, METRICS, TABLE, VIA = 1, 4, 5, 6, 7, 8, 15, 18
MTU = 2
UNIVERSE, LINK_SCOPE, UNICAST = 0, 253, 1

_message = struct.Struct("=BBBBBBBBI")  # rtmsg
_u32 = struct.Struct("=I")


class Fib:
    def __init__(self, protocol: int = PROTOCOL) -> None:
        """`protocol` tells whose routes are meant; others are neither seen nor changed."""
        self._socket, self._protocol = NetlinkSocket(ROUTING), protocol

    def close(self) -> None:
        self._socket.close()

    def read(self) -> Iterator[Route]:
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                bodies = self._socket.dump(GET, _message.pack(family, *[0] * 8))
            except OSError as error:
                raise DoorError(f"cannot read the routes: {os.strerror(error.errno or 0)}") from error
            yield from (route for body in bodies if (route := _parse(body, self._protocol)) is not None)

    def change(self, changes: Sequence[Change]) -> list[str | None]:
        """For each change what went wrong, or None. A route that is gone already counts as removed."""
        indexes: dict[str, int] = {}
        answers: list[str | None] = [None] * len(changes)
        asked: list[tuple[int, tuple[int, int, bytes]]] = []
        for place, change in enumerate(changes):
            route = change.fact
            assert isinstance(route, Route)
            try:
                index = indexes.setdefault(route.device, 0) or socket.if_nametoindex(route.device)
            except OSError:
                answers[place] = f"there is no interface '{route.device}'" if isinstance(change, Put) else None
                continue
            indexes[route.device] = index
            put = isinstance(change, Put)
            asked.append(
                (place, (NEW if put else DELETE, CREATE | REPLACE if put else 0, _body(route, index, self._protocol)))
            )
        numbers = self._socket.send([message for _, message in asked])
        for (place, _), number in zip(asked, numbers, strict=True):
            if number and not (number == errno.ESRCH and not isinstance(changes[place], Put)):
                answers[place] = f"the kernel refused the route: {os.strerror(number)}"
        return answers


def _body(route: Route, index: int, protocol: int) -> bytes:
    family = socket.AF_INET if route.destination.version == 4 else socket.AF_INET6
    scope = LINK_SCOPE if family == socket.AF_INET and route.via is None else UNIVERSE
    parts = [
        _message.pack(family, route.destination.prefixlen, 0, 0, 0, protocol, scope, UNICAST, 0),
        attribute(DESTINATION, route.destination.network_address.packed),
        attribute(DEVICE, _u32.pack(index)),
        attribute(TABLE, _u32.pack(route.table)),
        attribute(PRIORITY, _u32.pack(METRIC)),
    ]
    if route.via is not None and route.via.version == route.destination.version:
        parts.append(attribute(GATEWAY, route.via.packed))
    elif route.via is not None:
        via_family = socket.AF_INET if route.via.version == 4 else socket.AF_INET6
        parts.append(attribute(VIA, struct.pack("=H", via_family) + route.via.packed))
    if route.source is not None:
        parts.append(attribute(SOURCE, route.source.packed))
    if route.mtu is not None:
        parts.append(attribute(METRICS | NESTED, attribute(MTU, _u32.pack(route.mtu))))
    return b"".join(parts)


def _parse(body: bytes, ours: int) -> Route | None:
    family, prefix, _, _, _, protocol, _, _, _ = _message.unpack_from(body)
    if protocol != ours:
        return None
    found = {kind: bytes(value) for kind, value in attributes(body, _message.size)}
    try:
        device = socket.if_indextoname(_u32.unpack(found[DEVICE])[0])
    except (KeyError, OSError):
        return None
    start = found.get(DESTINATION, bytes(4 if family == socket.AF_INET else 16))
    metrics = dict(attributes(found.get(METRICS, b"")))
    return Route(
        ip_network((start, prefix)),
        device,
        _address(found[VIA][2:] if VIA in found else found.get(GATEWAY)),
        _address(found.get(SOURCE)),
        _u32.unpack(metrics[MTU])[0] if MTU in metrics else None,
        _u32.unpack(found[TABLE])[0],
    )


def _address(packed: bytes | None) -> IpAddress | None:
    if packed is None:
        return None
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)
