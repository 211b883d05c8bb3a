"""The signal client: makes a program a member of the system in one line.

    async with SignalClient() as signal:          signal = SignalClient().run_in_thread()
        await signal.wait_shutdown()              signal.shutdown.wait()

It does nothing at all when SIGNAL_CLIENT is unset or "false". When the server goes away it comes back with
growing pauses and registers again. It never ends the program itself: it tells, and in a thread, where the program
has never looked at `shutdown`, it also raises SIGTERM as an operator would.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal as process_signals
import threading
from typing import TYPE_CHECKING, Self

from viscript.signal.conversation import Conversation
from viscript.signal.handlers import SHUTDOWN_DEADLINE_S, Handlers, check_name
from viscript.signal.line import Line, Patience
from viscript.signal.model import ALL_EXTENSIONS, Role
from viscript.signal.session import Session
from viscript.signal.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

CONNECT_DEADLINE_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


class Told(threading.Event):
    """Set once, and knows whether the program has ever looked: one that does ends by itself, in its own time."""

    looked = False

    def is_set(self) -> bool:
        self.looked = True
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        self.looked = True
        return super().wait(timeout)


class SignalClient:
    """One program's line to its server. `shutdown` is set once the server asked for it and the program's hook
    has run, in whichever thread.

    What is added may be an `async def`, which runs in the client's event loop, or any other function, which runs in
    a thread of its own; neither holds up the line.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = read_settings(os.environ) if settings is None else settings
        self.shutdown = Told()
        self._handlers = Handlers()
        self._asked = asyncio.Event()
        self._registered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._raise_sigterm = False

    # What a program may add, before or after it is connected, from any thread

    @property
    def status(self) -> str:
        """A sentence on what the program does just now, shown to whoever asks for its report."""
        return self._handlers.status

    @status.setter
    def status(self, text: str) -> None:
        self._handlers.status = text

    def add_field(self, name: str, read: Callable[[], object]) -> Self:
        """Show what `read` returns (text, a number or a truth) under that name in the program's report."""
        check_name(name, self._handlers.fields)
        self._handlers.fields[name] = read
        return self

    def add_command(self, name: str, run: Callable[..., object]) -> Self:
        """Let the server call `run(*args)`, all texts; what it returns is shown as text."""
        check_name(name, self._handlers.commands)
        self._handlers.commands[name] = run
        return self

    def on_shutdown(self, hook: Callable[[], object], deadline_s: float = SHUTDOWN_DEADLINE_S) -> Self:
        """Run that when the server asks the program to end; the rest goes on at the deadline, hook or not."""
        self._handlers.shutdown = (hook, deadline_s)
        return self

    def on_log_level(self, take: Callable[[str], object]) -> Self:
        """Call `take(level)` instead of setting the level of Python's root logger."""
        self._handlers.set_level = take
        return self

    # From asyncio

    async def __aenter__(self) -> Self:
        if self.settings.enabled:
            self._task = asyncio.get_running_loop().create_task(self._keep_connected())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for task in (self._task, self._stopping) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._handlers.close()

    async def wait_registered(self) -> None:
        await self._registered.wait()

    async def wait_shutdown(self) -> None:
        """Return once the server has asked the program to end; forever if it never does."""
        await self._asked.wait()

    # From a program that blocks, or has a loop of its own

    def run_in_thread(self) -> Self:
        """Serve the line from a daemon thread."""
        self._raise_sigterm = True
        if self.settings.enabled:
            threading.Thread(target=lambda: asyncio.run(self._run_forever()), name="signal", daemon=True).start()
        return self

    async def _run_forever(self) -> None:
        async with self:
            await asyncio.Event().wait()

    async def _keep_connected(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            reason = await self._connect_once()
            if self._registered.is_set():
                self._registered.clear()
                pause_s = FIRST_PAUSE_S
            log.info("signal server %s: %s", self.settings, reason)
            await asyncio.sleep(pause_s * random.uniform(0.7, 1.0))  # noqa: S311 (only spreads the load)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _connect_once(self) -> str:
        """Serve one connection to its end; returns the reason in words."""
        talk = Conversation(
            self.settings.client_id,
            ALL_EXTENSIONS if self.settings.extensions else frozenset(),
            self._handlers,
            self._registered.set,
            self._begin_shutdown,
        )
        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S):
                line = await self._connect(talk)
        except TimeoutError:
            return "no answer"
        except OSError as error:
            return error.strerror or str(error)
        try:
            return await talk.ended
        finally:
            line.close()

    async def _connect(self, talk: Conversation) -> Line:
        loop, address = asyncio.get_running_loop(), self.settings.address

        def make_line() -> Line:
            return Line(Session(Role.CLIENT), talk, Patience())

        if self.settings.socket is not None:
            return (await loop.create_unix_connection(make_line, str(self.settings.socket)))[1]
        return (await loop.create_connection(make_line, address.host, address.port))[1]

    def _begin_shutdown(self) -> None:
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._shut_down())

    async def _shut_down(self) -> None:
        await self._handlers.prepare_shutdown()
        self.shutdown.set()
        self._asked.set()
        if self._raise_sigterm and not self.shutdown.looked:
            os.kill(os.getpid(), process_signals.SIGTERM)
