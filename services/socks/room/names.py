"""Resolves names by the machine's resolver, which blocks: in a few threads, with a deadline, and nobody's queue full of
somebody else's names.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address

from services.socks.model import IpAddress, Reply, plain
from services.socks.room.loop import Room

THREADS = 16
MOST_WAITING, MOST_WAITING_EACH = 512, 64
WITHIN_S = 8.0

Done = Callable[[list[IpAddress] | Reply], None]

_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class Names:
    """Made in a running event loop. Nothing is remembered here: whoever resolves for the machine does that.

    The threads are daemons, since nobody can end a look-up, and the program shall not wait for one when it ends.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._asked: queue.SimpleQueue[tuple[str, Done] | None] = queue.SimpleQueue()
        self._threads = self._busy = 0
        self._waiting: Counter[object] = Counter()

    def resolve(self, name: str, client: object, done: Done) -> None:
        """Calls `done` once, later, in the loop's thread: the addresses, never none, or why there are none."""
        if self._waiting.total() >= MOST_WAITING or self._waiting[client] >= MOST_WAITING_EACH:
            self._room.soon(lambda: done(Reply.FAILED))
            return
        self._waiting[client] += 1
        answered = False

        def answer(found: list[IpAddress] | Reply) -> None:
            nonlocal answered
            if not answered:
                answered = True
                deadline.cancel()
                done(found)

        def ended(found: list[IpAddress] | Reply) -> None:
            self._busy -= 1
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]
            answer(found)

        deadline = self._room.later(WITHIN_S, lambda: answer(Reply.TIMED_OUT))
        self._busy += 1
        if self._busy > self._threads < THREADS:
            self._threads += 1
            threading.Thread(target=self._look_up_all, name="names", daemon=True).start()
        self._asked.put((name, ended))

    def close(self) -> None:
        for _ in range(self._threads):
            self._asked.put(None)

    def _look_up_all(self) -> None:
        while (asked := self._asked.get()) is not None:
            name, ended = asked
            found = look_up(name)
            try:
                self._loop.call_soon_threadsafe(ended, found)
            except RuntimeError:  # the loop has ended meanwhile
                return


def look_up(name: str) -> list[IpAddress] | Reply:
    """Blocks. In the order of RFC 6724, as the system gives them."""
    try:
        rows = socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return Reply.HOST_UNREACHABLE if error.errno in _NO_SUCH_NAME else Reply.FAILED
    except (OSError, UnicodeError):
        return Reply.HOST_UNREACHABLE
    return [plain(ip_address(str(row[4][0]).partition("%")[0])) for row in rows] or Reply.HOST_UNREACHABLE
