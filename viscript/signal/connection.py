"""The server's end of one program's line: the answers it owes, each with its deadline.

It knows one program; who may register as what is asked of the books, which the server keeps.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from viscript.signal.errors import LocalError, RefusedError, RemoteError, UnansweredError, UnsupportedError
from viscript.signal.model import (
    NEEDS,
    Answered,
    Ask,
    Extension,
    Late,
    Peer,
    Pinged,
    Refusal,
    Registering,
)
from viscript.signal.peers import read_peer

if TYPE_CHECKING:
    from viscript.signal.line import Line
    from viscript.signal.model import Event

log = logging.getLogger(__name__)

USELESS_PER_S, USELESS_BURST = 5.0, 50.0
"""Frames that nobody asked for (PING, late answers) and that a program may send, before it is a flood."""


class Books(Protocol):
    """What the server keeps about all connections."""

    extensions: frozenset[Extension]

    def opened(self, connection: Connection) -> None: ...

    def admit(self, connection: Connection, client_id: int) -> None:
        """Accept the registration, now or later; raises RemoteError with the reason for a refusal."""

    def closed(self, connection: Connection) -> None: ...


class Connection:
    """One program. `client_id` is set once it is admitted."""

    line: Line
    peer: Peer | None = None
    client_id: int | None = None

    def __init__(self, books: Books) -> None:
        self._books = books
        self._owed: dict[int, asyncio.Future[object]] = {}
        self._useless, self._counted_at = USELESS_BURST, 0.0

    def __str__(self) -> str:
        return f"{self.peer} (id {self.client_id})"

    def opened(self, line: Line) -> None:
        self.line = line
        self.peer = read_peer(line.transport)
        if self.peer is None:
            line.end("it left before it could be named")
        else:
            self._books.opened(self)

    def accept(self, client_id: int) -> None:
        self.client_id = client_id
        self.line.session.accept(self._books.extensions)
        self.line.settle()
        self.line.send()

    async def ask(self, op: Ask, timeout_s: float, value: object = None) -> object:
        """The answer's value. Raises UnansweredError, UnsupportedError or RefusedError."""
        if op in NEEDS and NEEDS[op] not in self.line.session.extensions:
            raise UnsupportedError(f"program {self.client_id} does not know {op.name}: its signal library is older")
        try:
            number = self.line.session.ask(op, value)
        except LocalError as error:
            raise UnansweredError(str(error)) from error
        loop = asyncio.get_running_loop()
        answer = self._owed[number] = loop.create_future()
        self.line.send()
        timer = loop.call_later(timeout_s, self._fail, number, f"no answer to {op.name} within {timeout_s:g} s")
        try:
            found = await answer
        finally:
            timer.cancel()
            self._owed.pop(number, None)
            self.line.session.give_up(number)
        if isinstance(found, Refusal):
            raise RefusedError(found.error)
        return found

    def handle(self, event: Event) -> None:
        match event:
            case Answered(_, value, number):
                answer = self._owed.get(number)
                if answer is not None and not answer.done():
                    answer.set_result(value)
            case Registering(client_id):
                self._books.admit(self, client_id)
            case Pinged() | Late():
                self._count_useless(asyncio.get_running_loop().time())
            case _:
                pass

    def closed(self, reason: str) -> None:
        log.log(logging.WARNING if self.line.faulty else logging.INFO, "connection of %s closed: %s", self, reason)
        for number in tuple(self._owed):
            self._fail(number, f"the program left: {reason}")
        self._books.closed(self)

    def _fail(self, number: int, why: str) -> None:
        answer = self._owed[number]
        if not answer.done():
            answer.set_exception(UnansweredError(why))

    def _count_useless(self, now: float) -> None:
        self._useless = min(self._useless + (now - self._counted_at) * USELESS_PER_S, USELESS_BURST) - 1
        self._counted_at = now
        if self._useless < 0:
            raise RemoteError("a flood of PINGs or late answers")
