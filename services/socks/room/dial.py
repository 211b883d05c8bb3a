"""Connects to the first of several addresses that answers: Happy Eyeballs, RFC 8305.

Families take turns, an attempt gets 250 ms before the next begins beside it, and a failure begins the next at once.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
from collections.abc import Callable, Sequence

from services.socks.model import REPLIES, IpAddress, Reply
from services.socks.room.loop import Room

ATTEMPT_DELAY_S = 0.25
MOST_ATTEMPTS = 8
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 120), (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 6))

Done = Callable[[socket.socket | Reply], None]


class Dial:
    """Calls `done` once, with a connection that the room watches, or why there is none. `cancel` ends it silently."""

    def __init__(self, room: Room, addresses: Sequence[IpAddress], port: int, within_s: float, done: Done) -> None:
        self._room, self._port, self._done = room, port, done
        self._waiting = take_turns(addresses)[:MOST_ATTEMPTS]
        self._trying: dict[socket.socket, IpAddress] = {}
        self._failed = Reply.HOST_UNREACHABLE
        self._deadline = room.later(within_s, lambda: self._end(Reply.TIMED_OUT))
        self._next = self._deadline

    def start(self) -> None:
        """May call `done` before it returns."""
        self._try_next()

    def cancel(self) -> None:
        self._deadline.cancel()
        self._next.cancel()
        for end in tuple(self._trying):
            self._drop(end)
        self._waiting = []

    def _try_next(self) -> None:
        while self._waiting:
            address = self._waiting.pop(0)
            try:
                self._begin(address)
            except OSError as error:
                self._failed = REPLIES.get(error.errno or 0, Reply.FAILED)
                continue
            if self._waiting:
                self._next = self._room.later(ATTEMPT_DELAY_S, self._try_next)
            return
        if not self._trying:
            self._end(self._failed)

    def _begin(self, address: IpAddress) -> None:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        end = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            set_options(end)
            failed = end.connect_ex((str(address), self._port))
            if failed not in {0, errno.EINPROGRESS}:
                raise OSError(failed, os.strerror(failed))
            self._room.watch(end.fileno(), lambda _events: self._look(end))
        except OSError:
            end.close()
            raise
        self._trying[end] = address

    def _look(self, end: socket.socket) -> None:
        """Asked by connecting again, since an event may be that of a file that had this number before."""
        failed = end.connect_ex((str(self._trying[end]), self._port))
        if failed in {errno.EALREADY, errno.EINPROGRESS}:
            return
        if failed in {0, errno.EISCONN}:
            del self._trying[end]
            self.cancel()
            self._done(end)
            return
        self._failed = REPLIES.get(failed, Reply.FAILED)
        self._drop(end)
        if self._next is not self._deadline:
            self._next.cancel()
        self._try_next()

    def _drop(self, end: socket.socket) -> None:
        del self._trying[end]
        self._room.forget(end.fileno())
        end.close()

    def _end(self, why: Reply) -> None:
        self.cancel()
        self._done(why)


def set_options(end: socket.socket) -> None:
    """Also for one that listens: those that it accepts inherit them."""
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        end.setsockopt(socket.IPPROTO_TCP, option, value)


def take_turns(addresses: Sequence[IpAddress]) -> list[IpAddress]:
    """The families by turns, beginning with the first address's; within each as they came. Each once."""
    unique = list(dict.fromkeys(addresses))
    if not unique:
        return []
    same = [address for address in unique if address.version == unique[0].version]
    other = [address for address in unique if address.version != unique[0].version]
    return [address for pair in itertools.zip_longest(same, other) for address in pair if address is not None]
