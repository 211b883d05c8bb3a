"""The door to a manager's join port: one TCP connection past all tunnels, from HELLO to ADMITTED."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from services.errors import IdentityError
from services.kernel.model import IpAddress
from services.keys import Identity, NodeId
from services.manager.admission import DEADLINE_S, Admitted, NodeEnd
from services.manager.errors import ManagerError
from services.node.config import ManagerAt
from services.node.errors import AwayError, RefusedError
from services.node.own import FWMARK

CONNECT_WITHIN_S = 4.0
CHUNK = 1 << 16

Find = Callable[[str], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Joined:
    """`address` is where the manager was found on the underlay."""

    manager: NodeId
    address: IpAddress
    admitted: Admitted


async def join(identity: Identity, record: bytes, at: ManagerAt, find: Find) -> Joined:
    """`find` tells a host's addresses. Raises AwayError where nobody can be reached, RefusedError where somebody says
    no.
    """
    end = NodeEnd(identity, record, at.token, at.id)
    with contextlib.closing(await _connect(at, find)) as connection:
        address = ip_address(connection.getpeername()[0].partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        try:
            async with asyncio.timeout(DEADLINE_S):
                admitted = await _talk(connection, end, at)
        except (ManagerError, IdentityError) as error:
            raise RefusedError(f"manager at '{at.at}': {error}") from None
        except TimeoutError:
            raise AwayError(f"manager at '{at.at}' did not answer within {DEADLINE_S:g} s") from None
        except OSError as error:
            raise AwayError(f"manager at '{at.at}': {_reason(error)}") from None
    if end.manager is None or end.manager not in admitted.managers:
        raise RefusedError(f"manager at '{at.at}' admits, and is none of the managers it names")
    return Joined(end.manager, address, admitted)


async def _talk(connection: socket.socket, end: NodeEnd, at: ManagerAt) -> Admitted:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, end.begin())
    while True:
        data = await loop.sock_recv(connection, CHUNK)
        if not data:
            raise AwayError(f"manager at '{at.at}' closed the connection (too many joins at once?)")
        send, admitted = end.feed(data)
        if send:
            await loop.sock_sendall(connection, send)
        if admitted is not None:
            return admitted


async def _connect(at: ManagerAt, find: Find) -> socket.socket:
    """To the first of the host's addresses that answers."""
    host, port = at.at.split_port()
    reason = "it has no address"
    for address in await find(host):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            with contextlib.suppress(PermissionError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, FWMARK)
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await asyncio.get_running_loop().sock_connect(connection, (address, int(port)))
        except (OSError, TimeoutError) as error:
            connection.close()
            reason = _reason(error)
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise AwayError(f"manager at '{at.at}' cannot be reached: {reason}")


def _reason(error: OSError | TimeoutError) -> str:
    if isinstance(error, TimeoutError) and not error.errno:
        return "no answer"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
