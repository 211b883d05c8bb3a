"""The kernel door for the event loop: one thread owns the only `Machine`, and calls wait for their turn there.

Every call has a deadline. What is late is not undone: the thread goes on with it, and with what was asked after it, in
order. The thread is a daemon, so a kernel that never answers does not keep the process.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from services.kernel.machine import Machine
from services.kernel.meter import Pair
from services.kernel.model import Count, Fact, Peer, Report, State, Traffic
from services.node.errors import SlowKernelError

T = TypeVar("T")

DEADLINE_S = 30.0
BRING_DEADLINE_S = 300.0
"""Of a whole state: a relay may hold 100,000 labels."""


class Kernel:
    """Raises SlowKernelError, and whatever `Machine` raises (KernelError)."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="kernel", daemon=True)
        self._machine: Machine | None = None

    async def start(self) -> None:
        self._thread.start()
        await self._do(self._open, DEADLINE_S)

    async def close(self) -> None:
        """Leaves the kernel as it is."""
        if not self._thread.is_alive():
            return
        self._calls.put(self._close)
        self._calls.put(None)
        await asyncio.to_thread(self._thread.join, DEADLINE_S)

    async def amend(self, put: Iterable[Fact] = (), drop: Iterable[Fact] = ()) -> Report:
        return await self._do(lambda: self._opened().amend(put, drop), DEADLINE_S)

    async def bring(self, state: State, *, anew: bool = False) -> Report:
        """`anew` asks the kernel first what it has, instead of trusting what is remembered."""

        def work() -> Report:
            machine = self._opened()
            if anew:
                machine.read()
            return machine.bring(state)

        return await self._do(work, BRING_DEADLINE_S)

    async def renew(self, peer: Peer) -> Report:
        return await self._do(lambda: self._opened().renew(peer), DEADLINE_S)

    async def traffic(self, device: str) -> list[Traffic]:
        return await self._do(lambda: self._opened().traffic(device), DEADLINE_S)

    async def counters(self) -> dict[Pair, Count]:
        return await self._do(lambda: self._opened().counters(), DEADLINE_S)

    async def find_flaw(self) -> str:
        return await self._do(lambda: self._opened().find_flaw(), DEADLINE_S)

    async def refusals(self) -> dict[str, Count]:
        return await self._do(lambda: self._opened().refusals(), DEADLINE_S)

    def _opened(self) -> Machine:
        if self._machine is None:
            raise RuntimeError("the kernel is not started")
        return self._machine

    def _open(self) -> None:
        self._machine = Machine.open()

    def _close(self) -> None:
        if self._machine is not None:
            self._machine.close()
            self._machine = None

    async def _do(self, work: Callable[[], T], within_s: float) -> T:
        """Takes its place in the row before the first wait: calls are done in the order they were made."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def call() -> None:
            result: T | None = None
            error: BaseException | None = None
            try:
                result = work()
            except BaseException as found:  # is told to who asked
                error = found
            _hand_over(loop, done, result, error)

        self._calls.put(call)
        try:
            async with asyncio.timeout(within_s):
                return await done
        except TimeoutError:
            raise SlowKernelError(f"the kernel has not answered for {within_s:g} s (look at dmesg)") from None

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _hand_over(
    loop: asyncio.AbstractEventLoop, done: asyncio.Future[T], result: T | None, error: BaseException | None
) -> None:
    def take() -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # of T, whatever that is

    try:
        loop.call_soon_threadsafe(take)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more
