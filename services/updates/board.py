"""A node's part of updates: it installs what a manager of its own orders, restarts the board, and says how it stands.

The order is signed and numbered like any other (`services.node.orders`). It names a manager of this node and a bundle,
no address: where to fetch follows from the manager's key, or from that of another manager of this network. What was
ordered is kept in RAM: a node that is started anew goes on with it; a board that restarted does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol

import msgspec

from services.addresses import session_address
from services.keys import NodeId
from services.manager import asks
from services.manager.ending import end_tasks
from services.manager.errors import WordsError
from services.manager.signed import Order, decode
from services.node.errors import AwayError, KeptError, OrderError, RefusedError
from services.node.kept import Kept
from services.updates.door import Door
from services.updates.errors import DoorError
from services.updates.model import MAX_CALLED, BoardState, Doing, Install, cut

log = logging.getLogger(__name__)

LOOK_S, AGAIN_S, SAY_AGAIN_S = 2.0, 2.0, 300.0
STEP_PERCENT = 5
"""Progress is told in steps of that."""

SAID_WITHIN_S = 20.0
"""That it is installed, before the board restarts."""

TRIES, REACH_WITHIN_S, AWAY_S = 4, 3.0, 600.0
"""An installation is begun again where the managers were away in the middle of it, and waited for so long."""

_FILE = "update"


class Home(Protocol):
    @property
    def managers(self) -> Collection[str]: ...

    def on(self, kind: str, handler: Callable[[Order], Awaitable[asks.Reply]]) -> None: ...

    def on_home(self, handler: Callable[[], Awaitable[None]]) -> None: ...

    async def ask(self, ask: Any, kind: Any, within_s: float = 5.0) -> Any: ...


class Task(msgspec.Struct, frozen=True):
    """What was ordered, and how far it is."""

    install: Install
    doing: Doing = "installing"
    percent: int = 0
    text: str = ""


class BoardUpdates:
    def __init__(self, home: Home, kept: Kept, door: Door | None = None) -> None:
        self._home, self._kept, self._door = home, kept, door or Door()
        self._task: Task | None = None
        self._said: BoardState = BoardState()
        self._news, self._was_said = asyncio.Event(), asyncio.Event()
        self._comings = 0
        self._running: asyncio.Task[None] | None = None
        self._saying: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._home.on(asks.UPDATE, self.take)
        self._home.on_home(self._come_home)
        self._task = self._kept.read(_FILE, Task)
        if self._task is not None and self._task.doing in {"installing", "installed"}:
            self._running = asyncio.get_running_loop().create_task(self._carry_out(self._task.install))
        self._saying = asyncio.get_running_loop().create_task(self._keep_saying())

    async def close(self) -> None:
        await end_tasks([task for task in (self._running, self._saying) if task is not None])

    @property
    def state(self) -> BoardState:
        boot, task = self._door.boot(), self._task
        facts = (cut(boot.version, 120), cut(boot.slot, 120), boot.trial, cut(boot.rolled_back), self._door.is_there)
        called = cut(socket.gethostname().partition(".")[0], MAX_CALLED) if any(facts) else ""
        if task is None:
            return BoardState(*facts, called=called)
        return BoardState(*facts, task.install.rollout, task.doing, task.percent, cut(task.text), called)

    async def take(self, order: Order) -> asks.Reply:
        """Raises OrderError, WordsError."""
        install = decode(order.body, Install, asks.UPDATE)
        if install.manager not in self._home.managers:
            raise OrderError(f"'{install.manager[:12]}' is no manager of this node: nothing is fetched there")
        if not self._door.is_there:
            raise OrderError("this is no board: it has no update door")
        if self._task is not None and self._task.install.rollout == install.rollout:
            self._said = BoardState()
            self._news.set()
            return asks.Reply()
        if self._running is not None and not self._running.done():
            raise OrderError("another update is being installed here: wait for its end")
        self._put(Task(install))
        self._running = asyncio.get_running_loop().create_task(self._carry_out(install))
        return asks.Reply()

    # installing

    async def _carry_out(self, install: Install) -> None:
        version = install.bundle.version
        log.info("update to '%s' is installed, by order of manager '%s'", version, install.manager[:12])

        def on_progress(percent: int, text: str) -> None:
            percent -= percent % STEP_PERCENT
            if self._task is None or percent != self._task.percent:
                self._put(Task(install, percent=percent, text=text))

        try:
            if self._task is None or self._task.doing != "installed":
                found = await self._install(install, on_progress)
                if found != version:
                    raise DoorError(f"the bundle is version '{found[:40]}', not '{version[:40]}' as was ordered")
                self._put(Task(install, "installed", 100, "restarts"))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SAID_WITHIN_S):
                    await self._was_said.wait()
            await self._door.reboot()
        except DoorError as error:
            log.warning("update to '%s' failed: %s", version, error)
            self._put(Task(install, "refused", 0, str(error)))

    async def _install(self, install: Install, on_progress: Callable[[int, str], None]) -> str:
        """Raises DoorError: what the board refused while the managers were there is refused."""
        for left in reversed(range(TRIES)):
            manager = await self._reach(install)
            comings = self._comings
            try:
                return await self._door.install(_source(install, manager), on_progress, older=install.older)
            except DoorError as error:
                if left == 0 or (comings == self._comings and await _is_reached(manager, install.port)):
                    raise
                log.info("the update is begun again, since the managers were away: %s", error)
        raise DoorError("the update was not tried")  # TRIES is no 0

    async def _reach(self, install: Install) -> NodeId:
        """Who ordered it, or another manager of this network, which has the same bundle. Raises DoorError."""
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + AWAY_S
        while clock() < give_up_s:
            for manager in dict.fromkeys((install.manager, *map(NodeId, self._home.managers))):
                if await _is_reached(manager, install.port):
                    return manager
            await asyncio.sleep(AGAIN_S)
        raise DoorError(f"no manager is reached at port {install.port} to fetch the update, for {AWAY_S:g} s")

    def _put(self, task: Task) -> None:
        self._task = task
        self._was_said.clear()
        self._news.set()
        try:
            self._kept.write(_FILE, task)
        except KeptError as error:
            log.warning("%s", error)

    # saying

    async def _come_home(self) -> None:
        """The managers may have forgotten."""
        self._comings += 1
        self._said = BoardState()
        self._news.set()

    async def _keep_saying(self) -> None:
        """What is no board says nothing."""
        clock = asyncio.get_running_loop().time
        said_s, pause_s = clock(), LOOK_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._news.wait()
            self._news.clear()
            state, pause_s = self.state, LOOK_S
            if state == self._said and (state == BoardState() or clock() - said_s < SAY_AGAIN_S):
                continue
            try:
                await self._home.ask(asks.Board(state), asks.Done)
            except AwayError:
                pause_s = AGAIN_S
                continue
            except (RefusedError, WordsError) as error:  # a manager of an older version
                log.debug("the managers do not want to know this board's version: %s", error)
            self._said, said_s = state, clock()
            if state == self.state:
                self._was_said.set()


def _source(install: Install, manager: NodeId) -> str:
    return f"http://[{session_address(manager)}]:{install.port}/updates/{install.bundle.sha256}.raucb"


async def _is_reached(manager: NodeId, port: int) -> bool:
    try:
        async with asyncio.timeout(REACH_WITHIN_S):
            _, writer = await asyncio.open_connection(str(session_address(manager)), port)
    except OSError:
        return False
    writer.transport.abort()
    return True
