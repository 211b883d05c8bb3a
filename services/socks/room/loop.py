"""The room: asyncio's selector, which serves thousands of sockets of its own beside asyncio's, in the same thread.

An event of asyncio's costs some 30 µs of Python before anything is done; here it costs a look into a dictionary. Who
serves a socket in the room is called directly, within `select`, and may call into asyncio if it says `wake_asyncio`.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import os
import select
import selectors
import time
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")
Call = Callable[[], None]
Serve = Callable[[int], None]

log = logging.getLogger(__name__)

IN, OUT = select.EPOLLIN, select.EPOLLOUT
TROUBLE = select.EPOLLERR | select.EPOLLHUP
BOTH = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
"""What a connection is watched for, once and for all: a call for each change, so nothing is to be set anew."""

_AT_ONCE = 512


class Timer:
    """`cancel` may come at any time."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call: Call | None = call

    def cancel(self) -> None:
        self.call = None


class Room(selectors.EpollSelector):
    """`now_s` is the monotonic clock's, taken once for each batch of events."""

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll.fromfd(os.dup(self.fileno()))
        self._serving: dict[int, Serve] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._soon: deque[Call] = deque()
        self._asyncio_waits = False
        self.now_s = time.monotonic()

    # for who lives here

    def watch(self, file: int, serve: Serve, events: int = BOTH) -> None:
        """Calls `serve(events)` until `forget`, which must come before the file is closed. Raises OSError."""
        self._epoll.register(file, events)
        self._serving[file] = serve

    def hand_over(self, file: int, serve: Serve) -> None:
        """Somebody else serves it from now on. What was told before is not told again."""
        self._serving[file] = serve

    def look_again(self, file: int) -> None:
        """Tells anew what is so already; and where nothing can be sent, that it is told as soon as something can."""
        self._epoll.modify(file, BOTH)

    def forget(self, file: int) -> None:
        if self._serving.pop(file, None) is not None:
            self._epoll.unregister(file)

    def soon(self, call: Call) -> None:
        """After the events that wait now."""
        self._soon.append(call)

    def later(self, delay_s: float, call: Call) -> Timer:
        timer = Timer(call)
        heapq.heappush(self._timers, (self.now_s + delay_s, next(self._numbers), timer))
        return timer

    def wake_asyncio(self) -> None:
        """What was done touched a task, a future or a callback of asyncio's: it must run now."""
        self._asyncio_waits = True

    # for asyncio

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        until_s = None if timeout is None else time.monotonic() + max(0.0, timeout)
        ready: list[tuple[selectors.SelectorKey, int]] = []
        theirs = self.get_map()
        while True:
            events = self._poll(until_s)
            self.now_s = time.monotonic()
            for file, what in events:
                serve = self._serving.get(file)
                if serve is not None:
                    self._tell(serve, what)
                elif file in theirs:
                    ready.append((theirs[file], _as_asyncio(what)))
            self._run_due()
            if ready or self._asyncio_waits or (until_s is not None and self.now_s >= until_s):
                self._asyncio_waits = False
                return ready

    def close(self) -> None:
        self._epoll.close()
        super().close()

    def _poll(self, until_s: float | None) -> list[tuple[int, int]]:
        if self._soon or self._asyncio_waits:
            wait_s = 0.0
        else:
            ends = [end for end in (until_s, self._timers[0][0] if self._timers else None) if end is not None]
            wait_s = max(0.0, min(ends) - time.monotonic()) if ends else -1.0
        try:
            return self._epoll.poll(wait_s, _AT_ONCE)
        except InterruptedError:
            return []

    def _run_due(self) -> None:
        for _ in range(len(self._soon)):
            self._call(self._soon.popleft())
        while self._timers and self._timers[0][0] <= self.now_s:
            call = heapq.heappop(self._timers)[2].call
            if call is not None:
                self._call(call)

    def _tell(self, serve: Serve, what: int) -> None:
        """A fault of ours costs what it was about, not the program."""
        try:
            serve(what)
        except Exception:
            log.exception("a fault in the room")

    def _call(self, call: Call) -> None:
        try:
            call()
        except Exception:
            log.exception("a fault in the room")


def _as_asyncio(events: int) -> int:
    """As selectors do: trouble is both."""
    return (selectors.EVENT_WRITE if events & ~IN else 0) | (selectors.EVENT_READ if events & ~OUT else 0)


def run(work: Callable[[Room], Coroutine[Any, Any, T]]) -> T:
    """As asyncio.run does, with a room for a selector."""
    room = Room()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(room)) as runner:
        return runner.run(work(room))
