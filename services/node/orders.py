"""Orders of managers, from the bus to who carries them out: signed, for this node, and newer than the last.

The last revision is kept: in RAM at each order, so that a restarted process takes no replay; on the card with each new
epoch of the managers' leader, so that a reboot takes none of a former one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

import msgspec

from services.kernel.errors import KernelError
from services.keys import NodeId
from services.manager.asks import Reply
from services.manager.bus import Message
from services.manager.ending import end_tasks
from services.manager.errors import ManagerError, OlderError, WordsError
from services.manager.signed import Order, read_order
from services.node.errors import KeptError, NodeError
from services.node.kept import Kept

log = logging.getLogger(__name__)

CARRY_OUT_WITHIN_S = 20.0
MAX_AT_ONCE = 256
EPOCH_BITS = 32

_FILE = "orders"

Handler = Callable[[Order], Awaitable[Reply]]
Answer = Callable[[str, bytes], Awaitable[None]]


class Obeyed(msgspec.Struct, frozen=True):
    """Whom this node obeys, and up to which revision it did."""

    managers: tuple[NodeId, ...]
    revision: int = 0


class Orders:
    def __init__(self, me: NodeId, ram: Kept, card: Kept, told: Callable[[str], None]) -> None:
        self._me, self._ram, self._card, self._told = me, ram, card, told
        found = [kept.read(_FILE, Obeyed) or Obeyed(()) for kept in (ram, card)]
        self._obeyed = max(found, key=lambda obeyed: obeyed.revision)
        self._handlers: dict[str, Handler] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def managers(self) -> tuple[NodeId, ...]:
        return self._obeyed.managers

    def on(self, kind: str, handler: Handler) -> None:
        """From now on, in the place of a former one. What it raises of ours is the reason in the reply."""
        self._handlers[kind] = handler

    async def trust(self, managers: Collection[NodeId]) -> None:
        """Who admitted this node. Where none of them is known, it is another network, whose revisions start anew."""
        if set(managers) == set(self.managers):
            return
        revision = self._obeyed.revision if set(managers) & set(self.managers) else 0
        self._obeyed = Obeyed(tuple(managers), revision)
        await self._keep(on_card=True)

    async def take(self, message: Message, answer: Answer) -> None:
        """Checks it now, in the order of arrival; carries it out in a task of its own."""
        try:
            order = await self._check(message)
        except WordsError as error:
            self._told("an order came again, or late" if isinstance(error, OlderError) else f"refused: {error}")
            await self._answer(message, Reply(why=str(error)), answer)
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(order, message, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        await end_tasks(self._tasks)

    async def _check(self, message: Message) -> Order:
        """Raises WordsError."""
        last = self._obeyed
        order = read_order(message.data, self._me, last.managers, last.revision)
        if order.kind != message.subject.rpartition(".")[2] or order.kind not in self._handlers:
            raise WordsError(
                f"an order of kind '{order.kind[:40]}' at '{message.subject[-40:]}': nobody carries it out"
            )
        if len(self._tasks) >= MAX_AT_ONCE:
            raise WordsError(f"{MAX_AT_ONCE} orders are carried out already: ask again")
        self._obeyed = Obeyed(last.managers, order.revision)
        await self._keep(on_card=order.revision >> EPOCH_BITS != last.revision >> EPOCH_BITS)
        return order

    async def _keep(self, *, on_card: bool) -> None:
        """A folder that cannot be written does not make a node deaf."""
        try:
            self._ram.write(_FILE, self._obeyed)
            if on_card:
                await asyncio.to_thread(self._card.write, _FILE, self._obeyed)
        except KeptError as error:
            self._told(str(error))

    async def _carry_out(self, order: Order, message: Message, answer: Answer) -> None:
        try:
            async with asyncio.timeout(CARRY_OUT_WITHIN_S):
                reply = await self._handlers[order.kind](order)
        except TimeoutError:
            reply = Reply(why=f"not done within {CARRY_OUT_WITHIN_S:g} s")
        except (NodeError, KernelError, ManagerError) as error:
            reply = Reply(why=str(error) or type(error).__name__)
        except Exception:
            log.exception("order '%s' failed", order.kind)
            reply = Reply(why="it failed: see this node's log")
        if reply.why:
            log.info("order '%s' is not carried out: %s", order.kind, reply.why)
        await self._answer(message, reply, answer)

    async def _answer(self, message: Message, reply: Reply, answer: Answer) -> None:
        if not message.reply:
            return
        try:
            await answer(message.reply, msgspec.json.encode(reply))
        except ManagerError as error:
            log.info("the answer to '%s' is lost: %s", message.subject, error)
