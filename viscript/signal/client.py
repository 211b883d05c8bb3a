"""The signal client: makes a program a member of the system in one line.

    async with SignalClient() as signal:          signal = SignalClient().run_in_thread()
        await signal.wait_shutdown()              signal.shutdown.wait()

It reads SIGNAL_CLIENT, SIGNAL_SERVER_ADDRESS and SIGNAL_CLIENT_ID, and does nothing at all when
SIGNAL_CLIENT is unset or "false". When the server goes away it comes back with growing pauses and registers
again. It never ends the program itself: it tells, and in a thread (where nothing may be waiting) it also
raises SIGTERM as an operator would.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal as process_signals
import threading
import time
from typing import TYPE_CHECKING, Self

from viscript.signal.errors import RemoteError
from viscript.signal.link import Link
from viscript.signal.memstats import read_memstats
from viscript.signal.model import PING_INTERVAL_S, Ask, Asked, Registered, Role
from viscript.signal.session import Session
from viscript.signal.settings import Settings, read_settings

if TYPE_CHECKING:
    from viscript.signal.model import Event

log = logging.getLogger(__name__)

CONNECT_DEADLINE_S = 5.0
REGISTER_DEADLINE_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


class SignalClient:
    """One program's line to its server. `shutdown` is set once the server asked for it, in whichever
    thread.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = read_settings(os.environ) if settings is None else settings
        self.shutdown = threading.Event()
        self._asked = asyncio.Event()
        self._registered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._raise_sigterm = False

    async def __aenter__(self) -> Self:
        if self.settings.enabled:
            self._task = asyncio.get_running_loop().create_task(self._keep_connected())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait_registered(self) -> None:
        await self._registered.wait()

    async def wait_shutdown(self) -> None:
        """Return once the server has asked the program to end; forever if it never does."""
        await self._asked.wait()

    def run_in_thread(self) -> Self:
        """Serve the line from a daemon thread, for a program that blocks or has a loop of its own."""
        self._raise_sigterm = True
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
            log.info("signal server %s: %s", self.settings.address, reason)
            await asyncio.sleep(pause_s * random.uniform(0.7, 1.0))  # noqa: S311 (only spreads the load)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _connect_once(self) -> str:
        """Serve one connection to its end; returns the reason in words."""
        address = self.settings.address
        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S):
                reader, writer = await asyncio.open_connection(address.host, address.port)
        except TimeoutError:
            return "no answer"
        except OSError as error:
            return error.strerror or str(error)
        link = Link(Session(Role.CLIENT), reader, writer)
        link.session.register(self.settings.client_id)
        usual_s, link.read_deadline_s = link.read_deadline_s, REGISTER_DEADLINE_S
        link.send()
        pings = asyncio.get_running_loop().create_task(_send_pings(link))

        def handle(event: Event) -> None:
            if isinstance(event, Registered):
                link.read_deadline_s = usual_s
            self._handle(link, event)

        try:
            return await link.run(handle)
        finally:
            pings.cancel()
            await link.close()

    def _handle(self, link: Link, event: Event) -> None:
        match event:
            case Registered():
                self._registered.set()
            case Asked(Ask.TOP):
                link.session.answer(Ask.TOP, read_memstats())
            case Asked(Ask.PING):
                link.session.answer(Ask.PING, None)
            case Asked(Ask.SHUTDOWN):
                link.session.answer(Ask.SHUTDOWN, {"Pid": os.getpid()})
                link.send()
                self._tell_shutdown()
            case Asked(op):
                raise RemoteError(f"unknown operation {op}")
            case _:
                pass

    def _tell_shutdown(self) -> None:
        self.shutdown.set()
        self._asked.set()
        if self._raise_sigterm:
            os.kill(os.getpid(), process_signals.SIGTERM)


async def _send_pings(link: Link) -> None:
    while True:
        await asyncio.sleep(PING_INTERVAL_S)
        link.session.ping(int(time.time() * 1000))
        link.send()
