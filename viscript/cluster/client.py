"""Another board, as one that may be asked: its connection is made when somebody asks, kept, and made anew after it
was lost. Nothing is dialled without need, and a board that did not answer is left alone for a moment.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from viscript.api.model import MAX_LINE, NODE_AWAY, Channel, Failure, Reply, Request
from viscript.cluster.kinds import Kind
from viscript.cluster.line import Line, check_result

if TYPE_CHECKING:
    from viscript.signal.model import Address

DIAL_DEADLINE_S = 3.0
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
"""Seconds after a failed dial in which no other is tried; doubled each time up to the longest."""


class Board:
    """`source` is the address that the other board knows us by."""

    def __init__(self, name: str, address: Address, source: str | None) -> None:
        self.name = name
        self.address = address
        self._source = source
        self._line: Line | None = None
        self._dialling: asyncio.Task[Line | Failure] | None = None
        self._failure = Failure(NODE_AWAY, "")
        self._failed = 0
        self._not_before = 0.0

    async def ask(self, request: Request, kind: Kind) -> Reply:
        """The board's reply, or one that says why there is none, whatever the board does."""
        until = time.monotonic() + kind.deadline_s
        kept = self._usable()
        line = kept or await self._dial_once()
        if isinstance(line, Failure):
            return Reply(0, error=line)
        reply = await line.call(request, until - time.monotonic())
        if line is kept and kind.again and _is_lost(line, reply) and until - time.monotonic() > kind.deadline_s / 2:
            # The board was started anew since it was last asked: only now do we hear of it.
            line = self._usable() or await self._dial_once()
            if isinstance(line, Failure):
                return Reply(0, error=line)
            reply = await line.call(request, until - time.monotonic())
        if line.ended is None:
            self._failed = 0
        elif line is not kept:
            self._pause(line.ended)
        return check_result(reply, kind.result)

    def read_rtt_s(self) -> float | None:
        """None while there is no connection."""
        line = self._usable()
        return line.read_rtt_s() if line else None

    def read_channel(self) -> Channel | None:
        """None while there is no connection."""
        line = self._usable()
        if line is None:
            return None
        traffic = line.traffic
        sent_bps, received_bps = traffic.read_rates()
        return Channel(
            kind="api",
            node=self.name,
            address=str(self.address),
            rtt_s=line.read_rtt_s(),
            sent_bytes=traffic.sent_bytes,
            received_bytes=traffic.received_bytes,
            sent_bps=round(sent_bps, 1),
            received_bps=round(received_bps, 1),
        )

    async def close(self) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.gather(self._dialling, return_exceptions=True)
        if self._line is not None:
            self._line.end(Failure(NODE_AWAY, "this board's viscript ends"))
            await self._line.wait_ended()

    def _usable(self) -> Line | None:
        return self._line if self._line is not None and self._line.ended is None else None

    async def _dial_once(self) -> Line | Failure:
        """Who asks meanwhile waits for the same dial; a caller that leaves does not end it."""
        if self._dialling is None:
            if time.monotonic() < self._not_before:
                return self._failure
            self._dialling = asyncio.get_running_loop().create_task(self._dial())
            self._dialling.add_done_callback(self._note_dial)
        return await asyncio.shield(self._dialling)

    def _note_dial(self, dialled: asyncio.Task[Line | Failure]) -> None:
        self._dialling = None
        if dialled.cancelled():
            return
        made = dialled.result()
        if isinstance(made, Line):
            self._line = made
        else:
            self._pause(made)

    def _pause(self, failure: Failure) -> None:
        """Whoever asks in the next moment gets this failure at once."""
        self._failure = failure
        self._not_before = time.monotonic() + min(FIRST_PAUSE_S * 2**self._failed, LONGEST_PAUSE_S)
        self._failed = min(self._failed + 1, 10)

    async def _dial(self) -> Line | Failure:
        local = (self._source, 0) if self._source is not None else None
        try:
            async with asyncio.timeout(DIAL_DEADLINE_S):
                reader, writer = await asyncio.open_connection(
                    self.address.host, self.address.port, limit=MAX_LINE, local_addr=local
                )
        except TimeoutError:
            return Failure(NODE_AWAY, f"no connection to {self.address} within {DIAL_DEADLINE_S:g} s")
        except OSError as error:
            return Failure(NODE_AWAY, f"no connection to {self.address}: {_explain(error)}")
        return Line(reader, writer)


def _is_lost(line: Line, reply: Reply) -> bool:
    """Whether the connection ended under the call, without a word of why."""
    return reply.error is not None and reply.error is line.ended and reply.error.code == NODE_AWAY


def _explain(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there (is viscript up, and this board among its operators?)"
    return os.strerror(error.errno) if error.errno else str(error)
