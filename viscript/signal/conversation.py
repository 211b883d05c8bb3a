"""The client's end of one connection: registers, and answers what the server asks.

PING, TOP and SHUTDOWN are answered on the spot, as the original does, so that no handler of the program's can
be in their way; the rest by tasks, in whatever order they are done.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, cast

from viscript.signal.errors import LocalError, RefusedError
from viscript.signal.memstats import read_memstats
from viscript.signal.model import PING_INTERVAL_S, Ask, Asked, Command, Level, Pid, Refusal, Registered

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from viscript.signal.handlers import Handlers
    from viscript.signal.line import Line
    from viscript.signal.model import Event, Extension

log = logging.getLogger(__name__)


class Conversation:
    """`ended` holds the reason once the connection is closed. `registered` and `told_to_stop` are called in the
    loop.
    """

    line: Line

    def __init__(
        self,
        client_id: int,
        offer: frozenset[Extension],
        handlers: Handlers,
        registered: Callable[[], None],
        told_to_stop: Callable[[], None],
    ) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._client_id = client_id
        self._offer = offer
        self._handlers = handlers
        self._registered = registered
        self._told_to_stop = told_to_stop
        self._tasks: set[asyncio.Task[None]] = set()

    def opened(self, line: Line) -> None:
        self.line = line
        line.session.register(self._client_id, self._offer)
        line.send()
        self._spawn(self._send_pings())

    def handle(self, event: Event) -> None:
        match event:
            case Registered():
                self.line.settle()
                self._registered()
            case Asked():
                self._answer(event)
            case _:
                pass

    def closed(self, reason: str) -> None:
        for task in self._tasks:
            task.cancel()
        if not self.ended.done():
            self.ended.set_result(reason)

    def _answer(self, asked: Asked) -> None:
        match asked.op:
            case Ask.PING:
                self._say(asked, None)
            case Ask.TOP:
                self._say(asked, read_memstats())
            case Ask.SHUTDOWN:
                self._say(asked, Pid(os.getpid()))
                self._told_to_stop()
            case Ask.REPORT:
                self._spawn(self._say_later(asked, self._handlers.report()))
            case Ask.LOG_LEVEL:
                level = cast("Level", asked.value).level
                self._spawn(self._say_later(asked, self._handlers.take_level(level)))
            case Ask.COMMAND:
                command = cast("Command", asked.value)
                self._spawn(self._say_later(asked, self._handlers.run_command(command)))

    def _say(self, asked: Asked, value: object) -> None:
        self.line.session.answer(asked, value)
        self.line.send()

    async def _say_later(self, asked: Asked, work: Coroutine[None, None, object]) -> None:
        try:
            value = await work
        except RefusedError as error:
            value = _refuse(str(error))
        except Exception as error:
            log.exception("cannot answer %s", asked.op.name)
            value = _refuse(f"{type(error).__name__}: {error}")
        try:
            self._say(asked, value)
        except LocalError as error:
            self._say(asked, _refuse(str(error)))

    async def _send_pings(self) -> None:
        while True:
            await asyncio.sleep(PING_INTERVAL_S)
            self.line.session.ping(int(time.time() * 1000))
            self.line.send()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refuse(why: str) -> Refusal:
    return Refusal(why.encode("utf-8", "replace").decode()[:1000])
