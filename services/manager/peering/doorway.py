"""Knocks at another cluster's join port: one TCP connection past all tunnels."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import NamedTuple

from services.keys import Identity, NodeId
from services.manager.admission import DEADLINE_S
from services.manager.config import read_place
from services.manager.door import FWMARK, plain_address
from services.manager.errors import JoinError
from services.manager.peering.knock import Heard, KnockingEnd, Wants

CONNECT_WITHIN_S = 4.0
CHUNK = 1 << 16


class Knocked(NamedTuple):
    """`address` is where they were found on the underlay."""

    heard: Heard
    address: str


class AwayError(JoinError):
    """Nobody answers there."""


async def knock(identity: Identity, manager: NodeId, at: str, wants: Wants, record: bytes, own_at: str) -> Knocked:
    """Raises AwayError, or JoinError with their words."""
    end = KnockingEnd(identity, manager, wants, record, own_at)
    try:
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.closing(await _connect(at)) as connection:
                address = plain_address(connection.getpeername()[0])
                return Knocked(await _talk(connection, end), address)
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", "") or str(error) or "no answer"
        raise AwayError(f"nobody answers at '{at}': {reason} (is that their join port?)") from None


async def _talk(connection: socket.socket, end: KnockingEnd) -> Heard:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, end.begin())
    while data := await loop.sock_recv(connection, CHUNK):
        send, heard = end.feed(data)
        if send:
            await loop.sock_sendall(connection, send)
        if heard is not None:
            return heard
    raise AwayError("they closed the connection (too many at once?)")


async def _connect(at: str) -> socket.socket:
    """To the first of the host's addresses that answers."""
    host, port = read_place(at)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    trouble: OSError | TimeoutError = OSError("it has no address")
    for family, kind, protocol, _, place in found:
        connection = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        try:
            with contextlib.suppress(PermissionError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, FWMARK)
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await loop.sock_connect(connection, place)
        except (OSError, TimeoutError) as error:
            connection.close()
            trouble = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise trouble
