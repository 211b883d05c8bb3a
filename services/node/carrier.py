"""Widens sessions: carries networks beyond the mesh to a session's other end, for who asks it and holds on.

A wish outlives its session: its facts go with the session and come back with it. A wish whose program is gone lingers
as long as it said, and after a restart of the node for some seconds, so neither restart cuts what passes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

from services.kernel.errors import KernelError
from services.kernel.model import SESSIONS, IpNetwork
from services.keys import NodeId
from services.manager.ending import end_tasks
from services.node.api_words import Carried, Carry, Uncarry
from services.node.book import Book
from services.node.carried import Carriage, check, facts, read_carriage
from services.node.errors import CarryError, NodeError
from services.node.kept import Kept
from services.node.own import FWMARK
from services.node.sessions import Sessions

log = logging.getLogger(__name__)

GRACE_S = 20.0
MAX_CARRIED = 2048

_FILE = "carry-"


class Carrier:
    """Raises CarryError for what cannot be carried."""

    def __init__(self, book: Book, sessions: Sessions, kept: Kept) -> None:
        self._book, self._sessions, self._kept = book, sessions, kept
        self._wishes: dict[Carriage, Carry] = {}
        self._networks: dict[IpNetwork, Carriage] = {}
        self._lingering: dict[Carriage, asyncio.TimerHandle] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        sessions.on_begun, sessions.on_ending = self._begun, self._ending

    async def restore(self) -> None:
        """What was kept, into the book, and waits for its program."""
        for name in self._kept.names(_FILE):
            wish = self._kept.read(name, Carry)
            try:
                if wish is None or name != _FILE + (carriage := read_carriage(wish)).name:
                    raise CarryError("not understood")
                check(wish, carriage)
                self._take(carriage, wish)
                await self._begun(carriage.node_id)
            except (NodeError, KernelError) as error:
                log.warning("'%s' is forgotten: %s", name, error)
                self._kept.remove(name)
            else:
                self._linger(carriage, GRACE_S)

    async def close(self) -> None:
        """The kernel keeps all of it."""
        for timer in self._lingering.values():
            timer.cancel()
        await end_tasks(self._tasks)

    # who asks

    async def carry(self, wish: Carry) -> Carried:
        """Until `let_go`."""
        carriage = read_carriage(wish)
        check(wish, carriage)
        async with self._turn:
            for other in self._others(carriage):
                await self._drop(other)
            session = next((one for one in self._sessions.words if one.node_id == carriage.node_id), None)
            if session is None:
                raise CarryError(f"there is no session with node '{carriage.node_id}': connect first")
            if carriage not in self._wishes and len(self._wishes) >= MAX_CARRIED:
                raise CarryError(f"this node carries {MAX_CARRIED} already")
            self._stop_lingering(carriage)
            self._take(carriage, wish)
            await self._put(carriage, wish)
        return Carried(SESSIONS, session.mtu, FWMARK)

    async def let_go(self, wish: Carry) -> None:
        """Its program is gone."""
        carriage = read_carriage(wish)
        async with self._turn:
            if carriage not in self._wishes:
                return
            if wish.lingers_s:
                self._linger(carriage, wish.lingers_s)
            else:
                await self._drop(carriage)

    async def uncarry(self, asked: Uncarry) -> None:
        async with self._turn:
            await self._drop(read_carriage(asked))

    def _others(self, carriage: Carriage) -> set[Carriage]:
        """Wishes in the way that only linger. Raises CarryError for one that does not."""
        found = {self._networks[network] for network in carriage.networks if network in self._networks}
        for other in found:
            if other not in self._lingering:
                which = next(network for network in other.networks if network in carriage.networks)
                raise CarryError(f"network '{which}' is carried to node '{other.node_id}' by another program: end that")
        return found - {carriage}

    # sessions

    async def _begun(self, node_id: NodeId) -> None:
        """There is a session now."""
        if any(session.node_id == node_id for session in self._sessions.words):
            found = {carriage: wish for carriage, wish in self._wishes.items() if carriage.node_id == node_id}
            try:
                await self._book.set_many({one.owner: tuple(facts(wish, one)) for one, wish in found.items()})
            except (NodeError, KernelError) as error:
                log.warning("nothing is carried to '%s': %s", node_id, error)

    async def _ending(self, node_id: NodeId) -> None:
        """The session is about to go, and its peer with it."""
        await self._book.set_many({one.owner: () for one in self._wishes if one.node_id == node_id})

    # what is held

    def _take(self, carriage: Carriage, wish: Carry) -> None:
        self._wishes[carriage] = wish
        self._networks |= dict.fromkeys(carriage.networks, carriage)

    async def _put(self, carriage: Carriage, wish: Carry) -> None:
        """Whole or not at all."""
        try:
            report = await self._book.set(carriage.owner, facts(wish, carriage))
            if report.failed:
                raise CarryError(f"the kernel refused: {report.failed[0].reason}")
            self._kept.write(_FILE + carriage.name, wish)
        except (NodeError, KernelError):
            await self._drop(carriage)
            raise
        except asyncio.CancelledError:
            self._spawn(self._drop(carriage))
            raise

    async def _drop(self, carriage: Carriage) -> None:
        if self._wishes.pop(carriage, None) is None:
            return
        self._stop_lingering(carriage)
        for network in carriage.networks:
            del self._networks[network]
        self._kept.remove(_FILE + carriage.name)
        await self._book.set(carriage.owner, ())

    def _linger(self, carriage: Carriage, for_s: float) -> None:
        self._stop_lingering(carriage)
        loop = asyncio.get_running_loop()
        self._lingering[carriage] = loop.call_later(for_s, lambda: self._spawn(self._expire(carriage)))

    async def _expire(self, carriage: Carriage) -> None:
        async with self._turn:
            if carriage in self._lingering:
                await self._drop(carriage)

    def _stop_lingering(self, carriage: Carriage) -> None:
        if (timer := self._lingering.pop(carriage, None)) is not None:
            timer.cancel()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
