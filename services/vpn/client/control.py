"""The control connection to one server: asks for a lease, and then says every few seconds that this client is there.
The server's address is its identity, since it is reached by a session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Self

from services.keys import NodeId
from services.vpn.errors import TalkError, TunnelError
from services.vpn.words import (
    Answer,
    Ended,
    Lease,
    Leased,
    LineReader,
    Ping,
    Pong,
    Refused,
    encode,
    read_answer,
)

CONNECT_WITHIN_S, LEASE_WITHIN_S = 8.0, 8.0
EACH_S, ANSWERED_WITHIN_S = 3.0, 10.0
"""Oftener than a server asks for: the client has another to go to. A session that fails over is silent for less."""

CHUNK = 4096
MOST_TOLD = 200


class Control:
    """A context; raises TunnelError with what the server said, or that it says nothing."""

    def __init__(self, address: str, port: int) -> None:
        self._address, self._port = address, port
        self._lines = LineReader()
        self._waiting: list[bytes] = []
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                self._reader, self._writer = await asyncio.open_connection(self._address, self._port)
        except OSError as error:
            reason = "it does not answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
            raise TunnelError(f"no VPN server at '[{self._address}]:{self._port}': {reason}", cause="away") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.transport.abort()

    async def lease(self, own: NodeId, avoid: Iterable[str]) -> Leased:
        answer = await self._ask(Lease(own, tuple(avoid)), LEASE_WITHIN_S)
        if not isinstance(answer, Leased):
            raise TunnelError(f"the server answers '{type(answer).__name__}' instead of a lease")
        return answer

    async def hold(self) -> None:
        """Until the server is gone or ends the lease, which is raised."""
        number = 0
        while True:
            answer = await self._ask(Ping(number), ANSWERED_WITHIN_S)
            if not isinstance(answer, Pong):
                raise TunnelError(f"the server answers '{type(answer).__name__}' to a ping")
            number += 1
            await self._quiet_for(EACH_S)

    async def _quiet_for(self, seconds: float) -> None:
        """A line meanwhile can only be the end of the lease, or of the connection."""
        try:
            async with asyncio.timeout(seconds):
                answer = await self._next()
        except TimeoutError:
            return
        raise TunnelError(f"the server says '{type(answer).__name__}', which nobody asked")

    async def _ask(self, request: Lease | Ping, within_s: float) -> Answer:
        assert self._writer is not None
        try:
            async with asyncio.timeout(within_s):
                self._writer.write(encode(request))
                await self._writer.drain()
                return await self._next()
        except TimeoutError:
            raise TunnelError(f"the server said nothing for {within_s:g} s", cause="silent") from None
        except OSError as error:
            raise TunnelError(
                f"the connection to the server broke: {error.strerror or error}", cause="broken"
            ) from None

    async def _next(self) -> Answer:
        """Raises TunnelError where the server refuses or ends, OSError."""
        assert self._reader is not None
        try:
            while not self._waiting:
                data = await self._reader.read(CHUNK)
                if not data:
                    raise TunnelError("the server closed the connection", cause="broken")
                self._waiting += self._lines.feed(data)
            answer = read_answer(self._waiting.pop(0))
        except TalkError as error:
            raise TunnelError(f"the server said what it should not: {error}") from None
        if isinstance(answer, Refused | Ended):
            cause, verb = ("refused", "refuses") if isinstance(answer, Refused) else ("ended", "ended the lease")
            raise TunnelError(f"the server {verb}: {_plain(answer.why)}", answer.again_s, cause)
        return answer


def _plain(why: str) -> str:
    """One line of the log, whatever a server says."""
    return (why if why.isprintable() else ascii(why)[1:-1])[:MOST_TOLD]
