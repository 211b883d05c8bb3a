"""`node run`, from the seed to the last sentence: what can fail without touching the machine comes first, then the
kernel is brought to what was kept and is wanted, then the doors open.

Ending leaves the kernel as it is: sessions and routes go on without this process, and the next one adopts them.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal as process_signals
from contextlib import AsyncExitStack

from services import seed_file
from services.app.alone import alone
from services.kernel.errors import KernelError
from services.kernel.model import Device, Link, Report, Rules
from services.keys import Identity
from services.manager.ending import end_tasks
from services.node.book import Book
from services.node.carry_out import register
from services.node.config import Config
from services.node.ends import Ends
from services.node.errors import NodeError, StartError
from services.node.home import Home
from services.node.kept import Kept
from services.node.kernel_thread import Kernel
from services.node.labels import Labels
from services.node.links import Links
from services.node.membership import Membership
from services.node.orders import Orders
from services.node.own import own_facts
from services.node.own_record import OwnRecord
from services.node.probes import Prober
from services.node.status import Measured, tell
from services.node.troubles import Troubles
from services.node.underlay import own_addresses
from viscript.notify import notify
from viscript.signal import SignalClient

log = logging.getLogger(__name__)

RECONCILE_S, AGAIN_S = 60.0, 1.0
RARER = 200
"""Reading a large kernel takes long: the node does it for half a percent of its time at most."""

STATUS_S = 5.0


async def run(config: Config) -> None:
    """Until SIGTERM, SIGINT or the signal server says so. Raises NodeError, KernelError, IdentityError."""
    with seed_file.read(config.seed) as seed:
        identity = Identity(seed)
    ram, card = Kept(config.ram), Kept(config.card, durable=True)
    with alone(config.ram, "a node", StartError):
        async with AsyncExitStack() as undo, SignalClient() as signal:
            undo.callback(identity.wipe)
            node = Node(config, identity, ram, card, undo)
            await node.start(signal)
            _give_back()
            notify("READY=1")
            await _wait_end(signal)
            notify("STOPPING=1")


async def take_down(config: Config) -> Report:
    """Removes everything of ours from the kernel. Raises NodeError, KernelError."""
    Kept(config.ram)
    with alone(config.ram, "a node", StartError):
        kernel = Kernel()
        await kernel.start()
        try:
            return await Book(kernel).clear()
        finally:
            await kernel.close()


class Node:
    """Its parts, put together; nothing of it is asked by others."""

    def __init__(self, config: Config, identity: Identity, ram: Kept, card: Kept, undo: AsyncExitStack) -> None:
        self._config, self._undo = config, undo
        self.troubles = Troubles()
        self.own = OwnRecord(identity, config, card)
        self.kernel = Kernel()
        self.book = Book(self.kernel)
        self.prober = Prober(identity)
        self.links = Links(identity, config, self.own, self.book, self.prober, ram)
        self.labels = Labels(
            identity.node_id, config.relays, self.book, self.kernel, self.links.neighbour, ram, self.links.is_border
        )
        self.links.follow(self.labels, self.troubles.note)
        orders = Orders(identity.node_id, ram, card, self.troubles.note)
        self._undo.push_async_callback(orders.close)
        where = (config.managers, config.link_ranges)
        self.membership = Membership(identity, *where, self.own, self.book, orders, ram, card)
        self.home = Home(identity, self.membership, self.own, self.links, orders)
        register(self.home, self.links, self.labels)
        parts = (self.own, self.kernel, self.book, self.prober, self.links, self.labels, self.home)
        self.ends = Ends(config, identity, ram, *parts, self.troubles, self.measured)
        self.membership.on_joined = self.ends.sessions.free
        self._own_facts = own_facts(identity, config.rules, config.outside_ports)

    async def start(self, signal: SignalClient) -> None:
        """Raises NodeError, KernelError."""
        self.own.refresh(own_addresses())
        await self.kernel.start()
        self._undo.push_async_callback(self.kernel.close)
        if flaw := await self.kernel.find_flaw():
            self.troubles.note(flaw)
        await self.book.set("own", self._own_facts)
        await self.links.restore()
        await self.labels.restore()
        await self.membership.restore()
        await self.ends.restore()
        brought = await self.book.start()
        _check(brought)
        await self._listen()
        self._undo.push_async_callback(self.prober.close)
        self.links.start(brought)
        self._undo.push_async_callback(self.links.close)
        self._undo.push_async_callback(self.ends.close)
        work = (self.links.run(), self.labels.run(), self.home.run(), self._reconcile(), self._tell(signal))
        tasks = [asyncio.get_running_loop().create_task(one) for one in work]
        self._undo.push_async_callback(end_tasks, tasks)
        for task in (*tasks, *await self.ends.start()):
            task.add_done_callback(_look_at)

    async def _listen(self) -> None:
        port = self._config.probe_port
        try:
            await self.prober.start(port)
        except OSError as error:
            raise StartError(f"cannot listen at UDP port {port}: {error.strerror} (set another probe_port)") from None

    async def _reconcile(self) -> None:
        """Mends what others changed in the kernel, and soon what failed."""
        clock, pause_s, again_s = asyncio.get_running_loop().time, RECONCILE_S, AGAIN_S
        while True:
            try:
                async with asyncio.timeout(pause_s):
                    await self.book.dirty.wait()
                await asyncio.sleep(again_s)
            except TimeoutError:
                pass
            began_s = clock()
            try:
                report = await self.book.reconcile()
            except (NodeError, KernelError) as error:
                log.warning("the kernel is not as wanted: %s", error)
                self.book.dirty.set()
            else:
                if report.done:
                    log.info("%d things in the kernel were mended", len(report.done))
            again_s = min(2 * again_s, RECONCILE_S) if self.book.dirty.is_set() else AGAIN_S
            pause_s = max(RECONCILE_S, RARER * (clock() - began_s))

    def measured(self) -> Measured:
        states = self.links.states()
        up = sum(state.is_up for state in states)
        return Measured(self.home.ping_s, self.home.trouble, len(states), up, self.ends.sessions.count)

    async def _tell(self, signal: SignalClient) -> None:
        while True:
            line = tell(self.measured())
            if line != signal.status:
                signal.status = line
            self.home.changed.clear()
            try:
                async with asyncio.timeout(STATUS_S):
                    await self.home.changed.wait()
            except TimeoutError:
                continue


def _check(report: Report) -> None:
    """A node whose own things cannot be made is none. Raises StartError; other failures are mended later."""
    for failure in report.failed:
        if isinstance(failure.change.fact, Rules | Link | Device):
            raise StartError(f"the kernel refused: {failure.reason}")


def _look_at(task: asyncio.Task[None]) -> None:
    """What runs for ever and ends is a mistake of ours, to be seen."""
    if not task.cancelled() and task.exception() is not None:
        log.critical("the node is broken", exc_info=task.exception())
        os.kill(os.getpid(), process_signals.SIGTERM)


def _give_back() -> None:
    """The memory that only starting needed: a megabyte, of a small board's."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


async def _wait_end(signal: SignalClient) -> None:
    told = asyncio.Event()
    for number in (process_signals.SIGTERM, process_signals.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    waits = [asyncio.ensure_future(told.wait()), asyncio.ensure_future(signal.wait_shutdown())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
