"""Posts what waits: a lane for each peer that something waits for. While it is away it is tried again, ever more
seldom, and at once when it says hello; meanwhile what may be is laid into its mailbox.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable

from services.keys import NodeId
from services.manager.ending import end_tasks
from services.messenger.change import Posted
from services.messenger.errors import MessengerError, StoreError, UnreachableError
from services.messenger.link import Link
from services.messenger.switchboard import Switchboard
from services.messenger.wire import Post

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
AGAIN_FIRST_S, AGAIN_LONGEST_S = 2.0, 60.0
ANSWER_WITHIN_S, LOOK_S = 20.0, 5.0
UNDER_WAY = 512
AT_ONCE = 256
MOST_FRESH = 2048

Waiting = Callable[[NodeId, int, int], Awaitable[list[Posted]]]
"""Of that peer, after that number, so many."""


class Outbox:
    def __init__(self, board: Switchboard, waiting: Waiting, box: Callable[[NodeId], Awaitable[None]]) -> None:
        """`box` lays what it can into a peer's mailbox."""
        self._board, self._waiting, self._box = board, waiting, box
        self._lanes: dict[NodeId, Lane] = {}

    def post(self, posted: Posted) -> None:
        """What has just been written down; all of a peer's in order."""
        lane = self._lanes.get(posted.peer) or self._open(posted.peer)
        lane.put(posted)

    def call(self, peer: NodeId) -> None:
        """Reaches it, and posts what waits in the store."""
        lane = self._lanes.get(peer) or self._open(peer)
        lane.look_again()

    def wake(self, peer: NodeId) -> None:
        """It said hello, or its link ended."""
        if peer in self._lanes:
            self._lanes[peer].wake()

    def answered(self, peer: NodeId, number: int, *, again: bool = False) -> bool:
        """Whether that was waited for."""
        return peer in self._lanes and self._lanes[peer].answered(number, again=again)

    def encourage(self, peer: NodeId) -> None:
        """It wrote something itself: what it did not want before is posted again at once."""
        if peer in self._lanes:
            self._lanes[peer].encourage()

    def trouble(self, peer: NodeId) -> str:
        """Why it was not reached; empty where it was, or nothing waits."""
        return self._lanes[peer].trouble if peer in self._lanes else ""

    async def close(self) -> None:
        await end_tasks([lane.task for lane in self._lanes.values()])

    def _open(self, peer: NodeId) -> Lane:
        lane = Lane(peer, self._board, self._waiting, self._box)
        lane.task.add_done_callback(lambda task: self._close(lane, task))
        self._lanes[peer] = lane
        return lane

    def _close(self, lane: Lane, task: asyncio.Task[None]) -> None:
        if self._lanes.get(lane.peer) is lane:
            del self._lanes[lane.peer]
        if task.cancelled():
            return
        if task.exception() is not None:
            log.error("what waits for '%s' stands still", lane.peer, exc_info=task.exception())
        if lane.has_work and task.exception() is None:
            self.call(lane.peer)


class Lane:
    """To one peer. Up to `_upto` everything was put in order: posted and under way, or in `_fresh`. What follows comes
    fresh, or lies in the store where it is `_behind`.
    """

    def __init__(
        self, peer: NodeId, board: Switchboard, waiting: Waiting, box: Callable[[NodeId], Awaitable[None]]
    ) -> None:
        self.peer, self._board, self._waiting, self._box = peer, board, waiting, box
        self.trouble = ""
        self._fresh: deque[Posted] = deque()
        self._upto = 0
        self._behind = self._more = False
        self._is_sure = True
        self._under_way: dict[int, float] = {}
        self._link: Link | None = None
        self._again_at, self._again_s = 0.0, AGAIN_FIRST_S
        self._progressed = False
        self._woken = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run())

    @property
    def has_work(self) -> bool:
        return bool(self._fresh or self._behind or self._under_way or self._again_at)

    def put(self, posted: Posted) -> None:
        if self._behind:
            self._more = True
        elif posted.number > self._upto:
            self._fresh.append(posted)
            self._upto = posted.number
            if len(self._fresh) > MOST_FRESH:
                self._look_into_store(after=self._fresh[0].number - 1)
        self._pump()
        self._woken.set()

    def look_again(self) -> None:
        self._look_into_store(after=0)
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    def answered(self, number: int, *, again: bool) -> bool:
        if self._under_way.pop(number, None) is None:
            return False
        self._progressed = True
        if again and not self._again_at:
            self._again_at = time.monotonic() + self._again_s
            self._again_s = min(2 * self._again_s, AGAIN_LONGEST_S)
        self._pump()
        self._woken.set()
        return True

    def encourage(self) -> None:
        if self._again_at:
            self._again_at, self._again_s = time.monotonic(), AGAIN_FIRST_S
            self._woken.set()

    def _look_into_store(self, after: int) -> None:
        self._fresh.clear()
        self._upto, self._behind, self._more = after, True, True

    def _pump(self) -> None:
        link = self._link
        if link is None:
            return
        now = time.monotonic()
        while self._fresh and len(self._under_way) < UNDER_WAY and link.is_open:
            posted = self._fresh.popleft()
            link.say(Post(posted.number, posted.body))
            self._under_way[posted.number] = now

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while self.has_work:
            self._progressed = False
            try:
                link = self._board.link(self.peer) or await self._board.dial(self.peer)
                self.trouble = ""
                await self._feed(link)
            except (UnreachableError, StoreError) as error:
                self.trouble = str(error)
            if self._progressed:
                pause_s = FIRST_PAUSE_S
            elif self.has_work:
                await self._away(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _away(self, pause_s: float) -> None:
        """Nothing is kept in memory for it meanwhile. A link that it opens ends the pause."""
        self._look_into_store(after=0)
        self._is_sure = False
        before = self._board.link(self.peer)
        until = time.monotonic() + pause_s * random.uniform(0.8, 1.2)  # noqa: S311
        while (left_s := until - time.monotonic()) > 0 and self._board.link(self.peer) in {None, before}:
            if self._more:
                self._more = False
                await self._lay_into_mailbox()
            else:
                await self._wait(left_s)

    async def _lay_into_mailbox(self) -> None:
        try:
            await self._box(self.peer)
        except MessengerError as error:
            log.debug("nothing is laid into a mailbox of '%s': %s", self.peer, error)

    async def _feed(self, link: Link) -> None:
        """Until the link ends, or nothing waits."""
        if not self._is_sure:
            self._look_into_store(after=0)
        self._link = link
        try:
            while link.is_open and self.has_work:
                if self._is_to_load:
                    await self._load()
                self._pump()
                if not self._is_to_load:
                    await self._wait(self._patience_s())
                self._look(link)
        finally:
            self._link, self._is_sure = None, False
            if self._under_way or self._fresh:
                self._look_into_store(after=0)
            self._under_way.clear()

    async def _load(self) -> None:
        self._more = False
        rows = await self._waiting(self.peer, self._upto, AT_ONCE)
        self._behind = len(rows) == AT_ONCE or self._more
        if rows:
            self._upto = rows[-1].number
        self._fresh.extend(row for row in rows if row.number not in self._under_way)

    @property
    def _is_to_load(self) -> bool:
        return self._behind and not self._fresh and len(self._under_way) < UNDER_WAY

    def _look(self, link: Link) -> None:
        now = time.monotonic()
        if self._under_way and now - next(iter(self._under_way.values())) > ANSWER_WITHIN_S:
            link.end("no answer to what was posted")
        if self._again_at and now >= self._again_at:
            self._again_at = 0.0
            self._look_into_store(after=0)

    def _patience_s(self) -> float:
        if self._again_at:
            return max(0.01, min(LOOK_S, self._again_at - time.monotonic()))
        return LOOK_S

    async def _wait(self, within_s: float) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._woken.wait()
        except TimeoutError:
            pass
