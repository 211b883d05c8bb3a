"""What a client meets: a listening socket, and for each connection its handshake, against a deadline.

Once it has asked, its `Front` is handed to whoever serves requests, who in the end calls `join` or `refuse`.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from services.app.refusals import Refusals
from services.socks.errors import WireError
from services.socks.limits import Clients
from services.socks.model import NOWHERE, Credentials, Place, Reply, Request
from services.socks.room.dial import set_options
from services.socks.room.loop import IN, TROUBLE, Room
from services.socks.room.relay import Relay
from services.socks.wire.socks5 import NEED_DATA, NeedData

BACKLOG = 1024
CHUNK = 4096
ACCEPTED_AT_ONCE = 64
MOST_PARTING, PARTING_S = 32, 2.0
"""Of those that are too many: how many are told so at once, and how long they may take to say how they speak."""

PAUSE_S = 0.1
"""Without accepting, where there are no more file descriptors."""

log = logging.getLogger(__name__)


class Talk(Protocol):
    def feed(self, data: bytes) -> NeedData | Credentials | Request: ...
    def judge(self, *, accepted: bool) -> None: ...
    def reply(self, reply: Reply, bound: Place = NOWHERE) -> bytes: ...
    def too_many(self) -> bytes: ...
    def take_output(self) -> bytes: ...
    def take_rest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What all fronts of a program share. `make_talk` gets the first bytes, and None means nobody speaks so here;
    `may_enter` says whether that address is let in at all.
    """

    room: Room
    relay: Relay
    clients: Clients
    refusals: Refusals
    handshake_s: float
    make_talk: Callable[[bytes], Talk | None]
    is_user: Callable[[Credentials], bool]
    may_enter: Callable[[str], bool]
    serve: Callable[[Front, Request], None]


class Front:
    """One connection of a client. `left` is called when it ends before it was joined."""

    def __init__(self, terms: Terms, end: socket.socket, client: str) -> None:
        self.terms, self.end, self.client = terms, end, client
        self.left: Callable[[], None] | None = None
        self._talk: Talk | None = None
        self._over = terms.clients.enter(client, terms.room.now_s)
        self._asked = self._stays = False
        self._deadline = terms.room.later(terms.handshake_s, self._too_slow)
        terms.room.watch(end.fileno(), self._serve)

    # what a request can come to

    def join(self, other: socket.socket, bound: Place, first: bytes = b"") -> None:
        """It succeeded: `first` is what the other end has said already."""
        self._deadline.cancel()
        assert self._talk is not None
        terms, client = self.terms, self.client
        answer = self._talk.reply(Reply.SUCCEEDED, bound) + first
        self.left = None
        terms.relay.join(
            self.end, other, lambda: terms.clients.leave(client, terms.room.now_s), (self._talk.take_rest(), answer)
        )

    def stay(self, bound: Place) -> bool:
        """It succeeded, and the connection itself only says how long it is so: until `left` is called."""
        assert self._talk is not None
        self._stays = True
        return self._send(self._talk.reply(Reply.SUCCEEDED, bound)) and self._listen()

    def refuse(self, reply: Reply, cause: str = "", why: str = "") -> None:
        """`cause` and `why` go to the log, where there is something to tell the operator."""
        if cause:
            self.terms.refusals.note(cause, f"{self.client}: {why}")
        talk = self._talk
        self.close(b"" if talk is None else talk.reply(reply))

    def close(self, last: bytes = b"") -> None:
        if self.end.fileno() < 0:
            return
        if last:
            self._send(last)
        self._deadline.cancel()
        self.terms.room.forget(self.end.fileno())
        part(self.end)
        left, self.left = self.left, None
        if left is not None:
            left()
        self.terms.clients.leave(self.client, self.terms.room.now_s)

    # the handshake

    def _serve(self, events: int) -> None:
        if self._asked:
            if events & TROUBLE or (self._stays and not self._listen()):
                self.close()
            return
        while not self._asked:
            try:
                data = self.end.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                return
            if not self._take(data):
                return

    def _listen(self) -> bool:
        """Until they close it; what they say is of no interest any more."""
        try:
            while self.end.recv(CHUNK):
                pass
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def _take(self, data: bytes) -> bool:
        """Whether it goes on."""
        if self._talk is None:
            self._talk = self.terms.make_talk(data)
            if self._talk is None:
                self._wrong("neither SOCKS5 nor an HTTP proxy request", b"")
                return False
        try:
            found = self._talk.feed(data)
            if isinstance(found, Credentials):
                self._talk.judge(accepted=self.terms.is_user(found))
                found = self._talk.feed(b"")
        except WireError as error:
            self._wrong(str(error), self._talk.take_output() + error.answer)
            return False
        output = self._talk.take_output()
        if output and not self._send(output):
            self.close()
            return False
        if found is not NEED_DATA and isinstance(found, Request):
            self._ask(found)
        return True

    def _ask(self, request: Request) -> None:
        self._asked = True
        self._deadline.cancel()
        if self._over is not None:
            self.refuse(Reply.NOT_ALLOWED, self._over, f"too many {self._over}")
        else:
            self.terms.serve(self, request)

    def _wrong(self, why: str, answer: bytes) -> None:
        self.terms.refusals.note("handshake", f"{self.client}: {why}")
        self.close(answer)

    def _too_slow(self) -> None:
        self.terms.refusals.note("slow handshake", f"{self.client}: no request within {self.terms.handshake_s:g} s")
        self.close()

    def _send(self, data: bytes) -> bool:
        """Small things into an empty buffer: all or nothing."""
        try:
            return self.end.send(data) == len(data)
        except OSError:
            return False


def part(end: socket.socket) -> None:
    """What was sent should be read before a reset: bytes of theirs that nobody reads would cause one."""
    try:
        end.shutdown(socket.SHUT_WR)
        end.recv(CHUNK)
    except OSError:
        pass
    end.close()


class Door:
    """A listening socket, and whom it lets in."""

    def __init__(self, terms: Terms, listening: socket.socket) -> None:
        self._terms, self._listening = terms, listening
        self._parting = 0
        terms.room.watch(listening.fileno(), self._accept, IN)

    def close(self) -> None:
        self._terms.room.forget(self._listening.fileno())
        self._listening.close()

    def _accept(self, _events: int) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                end, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    self._pause(error)
                    return
                continue
            self._let_in(end, address[0])

    def _let_in(self, end: socket.socket, client: str) -> None:
        terms = self._terms
        if not terms.may_enter(client):
            terms.refusals.note("client", f"{client}: is not in a network that may use this (see `allow_from`)")
            end.close()
        elif terms.clients.is_full:
            terms.refusals.note("full", f"{client}: all {terms.clients.connections} connections are taken")
            self._tell_full(end)
        else:
            end.setblocking(False)
            Front(terms, end, client)

    def _tell_full(self, end: socket.socket) -> None:
        """In the way that they speak, which their first bytes show."""
        if self._parting >= MOST_PARTING:
            end.close()
            return
        end.setblocking(False)
        room = self._terms.room

        def hear(_events: int) -> None:
            try:
                data = end.recv(CHUNK)
                talk = self._terms.make_talk(data) if data else None
                if talk is not None:
                    end.send(talk.too_many())
            except BlockingIOError:
                return
            except OSError:
                pass
            leave()

        def leave() -> None:
            self._parting -= 1
            deadline.cancel()
            room.forget(end.fileno())
            part(end)

        deadline = room.later(PARTING_S, leave)
        self._parting += 1
        room.watch(end.fileno(), hear, IN)

    def _pause(self, error: OSError) -> None:
        """A level-triggered event would be told for ever."""
        terms, file = self._terms, self._listening.fileno()
        terms.refusals.note("file descriptors", f"no connection can be accepted: {error.strerror}")
        terms.room.forget(file)
        terms.room.later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        if self._listening.fileno() >= 0:
            self._terms.room.watch(self._listening.fileno(), self._accept, IN)


def listen(host: str, port: int) -> socket.socket:
    """Port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        set_options(listening)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
