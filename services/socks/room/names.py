"""Resolves names by the machine's resolver, which blocks: in a few threads, with a deadline.

Clients take turns, and one has at most a quarter of the threads: names whose server never answers hold a thread for as
long as resolv.conf says, and shall hold up whoever asks for them alone.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable
from ipaddress import ip_address

from services.socks.model import IpAddress, Reply, plain
from services.socks.room.loop import Room, Timer

THREADS = 16
THREADS_EACH = THREADS // 4
MOST_WAITING, MOST_WAITING_EACH = 512, 64
WITHIN_S = 8.0

Done = Callable[[list[IpAddress] | Reply], None]

_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class _LookUp:
    """`done` is called once."""

    __slots__ = ("client", "deadline", "done", "name")

    def __init__(self, name: str, client: object, done: Done) -> None:
        self.name, self.client = name, client
        self.done: Done | None = done
        self.deadline: Timer | None = None

    def answer(self, found: list[IpAddress] | Reply) -> None:
        done, self.done = self.done, None
        if self.deadline is not None:
            self.deadline.cancel()
        if done is not None:
            done(found)


class Names:
    """Made in a running event loop. Nothing is remembered here: whoever resolves for the machine does that.

    The threads are daemons, since nobody can end a look-up, and the program shall not wait for one when it ends.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._asked: queue.SimpleQueue[_LookUp | None] = queue.SimpleQueue()
        self._threads = 0
        self._running: Counter[object] = Counter()
        self._waiting: dict[object, deque[_LookUp]] = {}
        """Never an empty one. Whose turn it was goes to the end."""

    def resolve(self, name: str, client: object, done: Done) -> None:
        """Calls `done` once, later, in the loop's thread: the addresses, never none, or why there are none."""
        own = self._waiting.get(client, ())
        if sum(map(len, self._waiting.values())) >= MOST_WAITING or len(own) >= MOST_WAITING_EACH:
            self._room.soon(lambda: done(Reply.FAILED))
            return
        asked = _LookUp(name, client, done)
        asked.deadline = self._room.later(WITHIN_S, lambda: self._give_up(asked))
        self._waiting.setdefault(client, deque()).append(asked)
        self._start()

    def _start(self) -> None:
        """As many as may run now."""
        while self._running.total() < THREADS:
            client = next((one for one in self._waiting if self._running[one] < THREADS_EACH), None)
            if client is None:
                return
            own = self._waiting.pop(client)
            asked = own.popleft()
            if own:
                self._waiting[client] = own
            self._running[client] += 1
            if self._running.total() > self._threads:
                self._threads += 1
                threading.Thread(target=self._look_up_all, name="names", daemon=True).start()
            self._asked.put(asked)

    def _give_up(self, asked: _LookUp) -> None:
        own = self._waiting.get(asked.client, deque())
        if asked in own:
            own.remove(asked)
            if not own:
                del self._waiting[asked.client]
        asked.answer(Reply.TIMED_OUT)

    def _ended(self, asked: _LookUp, found: list[IpAddress] | Reply) -> None:
        self._running[asked.client] -= 1
        if not self._running[asked.client]:
            del self._running[asked.client]
        self._start()
        asked.answer(found)

    def close(self) -> None:
        for _ in range(self._threads):
            self._asked.put(None)

    def _look_up_all(self) -> None:
        while (asked := self._asked.get()) is not None:
            found = look_up(asked.name)
            try:
                self._loop.call_soon_threadsafe(self._ended, asked, found)
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
