"""The way home: joins a manager, keeps a session with each, and speaks on their bus.

join (TCP, past the tunnels) → peers on sky0 → the bus inside → orders come, questions go, links are told
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

import msgspec

from services.errors import IdentityError
from services.kernel.errors import KernelError
from services.keys import Identity, NodeId
from services.manager import subjects
from services.manager.asks import Answer, Ask, Labels, Ping, Refused, Renew, Token
from services.manager.asks import Done as AskDone
from services.manager.bus import Bus, Message
from services.manager.ending import until_one_ends
from services.manager.errors import BusError, ManagerError, WordsError
from services.manager.routes.model import Link
from services.manager.signed import decode
from services.node.admission import Admission
from services.node.errors import AwayError, NodeError, RefusedError
from services.node.membership import Membership
from services.node.nearest import answering
from services.node.orders import Handler, Orders
from services.node.own_record import OwnRecord
from services.node.underlay import own_addresses

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_PAUSE_S, EARLY_PAUSE_S, LONGEST_PAUSE_S = 0.5, 2.0, 15.0
EARLY_S = 60.0
"""So long a node that is not home yet, or no more, tries often: managers may be just starting too."""

KEPT_WITHIN_S, JOINED_WITHIN_S = 6.0, 12.0
AWAY_S, LOOK_S = 5.0, 1.0
PING_S, PING_WITHIN_S = 5.0, 3.0
DOUBT_S, DOUBTS = 1.0, 2
"""A question open for so long puts the server itself in doubt; it may miss so many answers of its own."""

ADDRESSES_S = 10.0
LINKS_S, LINKS_APART_S, SETTLE_S = 30.0, 0.2, 2.0
RECORD_S = 600.0


class Linked(Protocol):
    """What of the links is told."""

    news: asyncio.Event

    def report(self) -> tuple[Link, ...]: ...

    async def settle(self, within_s: float) -> None: ...

    async def refresh(self) -> None: ...


class Home:
    def __init__(
        self, identity: Identity, membership: Membership, own: OwnRecord, links: Linked, orders: Orders
    ) -> None:
        self._identity, self._me = identity, identity.node_id
        self._membership, self._own, self._links, self._orders = membership, own, links, orders
        self._bus: Bus | None = None
        self.trouble = "no manager was asked yet" if membership.places else "no manager is configured"
        """Why it is not connected."""
        self.ping_s: float | None = None
        """The last round trip to the manager's desk and back; None where there is no answer."""
        self.changed = asyncio.Event()
        """Set when it comes home or goes away, and with each ping."""
        self._came, self._doubt = asyncio.Event(), asyncio.Event()
        self._left = ""
        self._closing: set[asyncio.Task[None]] = set()
        self._at_home: list[Callable[[], Awaitable[None]]] = []
        self._at_expulsion: list[Callable[[NodeId], Awaitable[None]]] = []

    # what others use

    @property
    def is_connected(self) -> bool:
        return self._bus is not None and self._bus.is_connected

    @property
    def managers(self) -> tuple[NodeId, ...]:
        return self._orders.managers

    @property
    def own_endpoints(self) -> tuple[str, ...]:
        """Where this node's session socket is on the underlay."""
        return self._own.session_endpoints()

    def on(self, kind: str, handler: Handler) -> None:
        self._orders.on(kind, handler)

    def on_home(self, handler: Callable[[], Awaitable[None]]) -> None:
        """Called whenever the bus is reached, also again: what managers may have missed is to be said now."""
        self._at_home.append(handler)

    def on_expelled(self, handler: Callable[[NodeId], Awaitable[None]]) -> None:
        self._at_expulsion.append(handler)

    async def expelled(self, node_ids: Sequence[NodeId]) -> None:
        """By a manager's order."""
        for node_id in node_ids:
            for handler in self._at_expulsion:
                await handler(node_id)

    async def ask(self, ask: Ask, kind: type[T], within_s: float = 5.0) -> T:
        """Raises RefusedError with the manager's reason; AwayError where it may help to ask again."""
        data = msgspec.json.encode(ask)
        bus = self._connected()
        doubt = asyncio.get_running_loop().call_later(DOUBT_S, self._doubt.set)
        try:
            answered = await bus.ask(subjects.up(self._me, "ask"), data, within_s)
            answer: object = decode(answered, Answer, "the manager's answer")  # type: ignore[arg-type]  # a union
        except (BusError, WordsError) as error:
            raise AwayError(f"no manager answers: {error}") from None
        finally:
            doubt.cancel()
        if isinstance(answer, Refused):
            raise AwayError(answer.why) if answer.again else RefusedError(answer.why)
        if not isinstance(answer, kind):
            raise AwayError(f"the manager answers '{type(answer).__name__}' to '{type(ask).__name__}'")
        return answer

    async def say(self, what: str, data: bytes) -> None:
        """Raises AwayError."""
        bus = self._connected()
        try:
            await bus.publish(subjects.up(self._me, what), data)
        except BusError as error:
            raise AwayError(str(error)) from None

    def _connected(self) -> Bus:
        if self._bus is None or not self._bus.is_connected:
            raise AwayError(f"not connected to a manager: {self.trouble}")
        return self._bus

    # life

    async def run(self) -> None:
        """For ever, if any manager is configured."""
        clock = asyncio.get_running_loop().time
        pause_s, away_s = FIRST_PAUSE_S, clock()
        while self._membership.places:
            try:
                await self._come_home()
                pause_s = FIRST_PAUSE_S
                await self._stay()
            except (NodeError, ManagerError, KernelError, IdentityError) as error:
                self._tell(str(error))
            finally:
                self._leave()
            away_s = clock() if pause_s == FIRST_PAUSE_S else away_s
            await asyncio.sleep(pause_s * random.uniform(0.7, 1.0))  # noqa: S311  # only spreads the load
            pause_s = min(2 * pause_s, EARLY_PAUSE_S if clock() - away_s < EARLY_S else LONGEST_PAUSE_S)

    def _leave(self) -> None:
        bus, self._bus, self.ping_s = self._bus, None, None
        self.changed.set()
        if bus is not None:  # its far end may be silent: nobody waits for it
            self._left = bus.server or self._left
            closing = asyncio.get_running_loop().create_task(bus.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble
        self.changed.set()

    # coming

    async def _come_home(self) -> None:
        """Raises NodeError, ManagerError, KernelError, IdentityError."""
        kept, self._bus = self._membership.admission, None
        if kept is not None:
            with suppress(ManagerError, AwayError):
                self._bus = await self._connect(kept, KEPT_WITHIN_S)
        if self._bus is None:
            await self._refresh()
            self._bus = await self._connect(await self._membership.join(), JOINED_WITHIN_S)
        log.info("connected to the managers' bus")
        self.trouble = ""
        self._came.set()
        self.changed.set()

    async def _connect(self, admission: Admission, within_s: float) -> Bus:
        """Raises ManagerError, AwayError."""
        bus = Bus(self._identity, lambda told: log.info("%s", told))
        try:
            async with asyncio.timeout(within_s):
                urls = sorted(admission.urls, key=lambda url: (url == self._left, random.random()))  # noqa: S311
                await bus.connect(await answering(urls), lambda: self._membership.token, in_order=True)
                await bus.listen(subjects.down(self._me, ">"), lambda message: self._hear(bus, message))
                await bus.flush()
        except TimeoutError:
            await bus.close()
            raise AwayError(f"the bus at {', '.join(admission.urls)} does not answer") from None
        except BaseException:
            await bus.close()
            raise
        return bus

    async def _hear(self, bus: Bus, message: Message) -> None:
        await self._orders.take(message, bus.publish)

    # staying

    async def _stay(self) -> None:
        """Until the managers are away. Raises AwayError, or what ended it."""
        work = (
            self._watch,
            self._watch_server,
            self._greet,
            self._ping,
            self._say_links,
            self._say_record,
            self._renew_token,
        )
        tasks = [asyncio.get_running_loop().create_task(_until_lost(one)) for one in work]
        await until_one_ends(tasks)

    async def _watch(self) -> None:
        away_s = 0.0
        bus = self._bus
        while bus is not None and not bus.closed.is_set():
            if bus.is_connected and away_s:
                self._came.set()
            away_s = 0.0 if bus.is_connected else away_s + LOOK_S
            if away_s >= AWAY_S:
                raise AwayError("the bus is away")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await bus.closed.wait()
        raise AwayError("a manager closed the bus to this node")

    async def _greet(self) -> None:
        """At each coming: what the managers should know, and what this node may have missed."""
        while True:
            await self._came.wait()
            self._came.clear()
            await self._refresh()
            await self._try_to_say("record", self._own.signed)
            for handler in self._at_home:
                try:
                    await handler()
                except NodeError as error:
                    log.info("not all is said to the managers: %s", error)
            while not self._came.is_set():
                try:
                    await self.ask(Labels(), AskDone)
                    break
                except (AwayError, RefusedError) as error:
                    log.info("labels are not ordered anew: %s", error)
                    await asyncio.sleep(1.0)

    async def _ping(self) -> None:
        """The desk's answer is the proof that the mesh works; that of the server, that the bus does."""
        clock = asyncio.get_running_loop().time
        while True:
            began_s = clock()
            self._doubt.clear()
            try:
                await self.ask(Ping(), AskDone, PING_WITHIN_S)
            except (AwayError, RefusedError) as error:
                self.ping_s, self.trouble = None, str(error)
            else:
                self.ping_s, self.trouble = clock() - began_s, ""
            self.changed.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_S if self.ping_s is not None else 1.0):
                    await self._doubt.wait()

    async def _watch_server(self) -> None:
        """Leaves a server that is silent, to be home sooner at another."""
        while True:
            await self._doubt.wait()
            for _ in range(DOUBTS):
                if self._bus is None or not self._bus.is_connected or await self._bus.answers(DOUBT_S):
                    break
            else:
                raise AwayError("the bus does not answer")
            self._doubt.clear()
            await asyncio.sleep(DOUBT_S)

    async def _say_links(self) -> None:
        await self._links.settle(SETTLE_S)
        while True:
            self._links.news.clear()
            await self._try_to_say("links", msgspec.json.encode(self._links.report()))
            await asyncio.sleep(LINKS_APART_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(LINKS_S):
                    await self._links.news.wait()

    async def _say_record(self) -> None:
        clock = asyncio.get_running_loop().time
        said_s = clock()
        while True:
            await asyncio.sleep(ADDRESSES_S)
            if await self._refresh() or clock() - said_s >= RECORD_S:
                said_s = clock()
                await self._try_to_say("record", self._own.signed)

    async def _try_to_say(self, what: str, data: bytes) -> None:
        """What is lost is said again, at the latest when the bus is back."""
        with suppress(AwayError):
            await self.say(what, data)

    async def _refresh(self) -> bool:
        """Whether this node's addresses changed."""
        is_new = self._own.refresh(own_addresses())
        if is_new:
            await self._links.refresh()
        return is_new

    async def _renew_token(self) -> None:
        while True:
            await asyncio.sleep(self._membership.token_life_s / 2)
            try:
                token = (await self.ask(Renew(), Token)).token
            except AwayError:
                continue  # at half of what is left
            self._membership.renew(token)


async def _until_lost(work: Callable[[], Awaitable[None]]) -> None:
    await work()
