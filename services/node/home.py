"""The way home: joins a manager, keeps a session with each, and speaks on their bus.

    join (TCP, past the tunnels) → peers on sky0 → the bus inside → orders come, questions go, links are told

A restarted process goes on with the admission it kept and joins nobody: its sessions stand in the kernel. Joining again
is for a bus that is away, one configured manager after the other; the manager's node then forgets this node's clock and
learns its address, and the session is made anew.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Protocol, TypeVar

import msgspec

from services.errors import IdentityError
from services.kernel.errors import KernelError
from services.kernel.model import IpAddress, IpNetwork
from services.keys import Identity, NodeId
from services.manager import subjects
from services.manager.asks import Answer, Ask, Labels, Ping, Refused, Renew, Token
from services.manager.asks import Done as AskDone
from services.manager.bus import Bus, Message
from services.manager.ending import end_tasks
from services.manager.errors import BusError, ManagerError, WordsError
from services.manager.routes.model import Link
from services.manager.signed import decode
from services.node.admission import Admission, manager_facts, peer_key, read_admission, token_life_s
from services.node.book import Book
from services.node.config import ManagerAt
from services.node.errors import AwayError, NodeError, RefusedError
from services.node.join import Joined, join
from services.node.kept import Kept
from services.node.orders import Handler, Orders
from services.node.own_record import OwnRecord
from services.node.underlay import own_addresses

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
KEPT_WITHIN_S, JOINED_WITHIN_S = 4.0, 12.0
AWAY_S = 5.0
PING_S, PING_WITHIN_S, PINGS_LOST = 5.0, 3.0, 3
ADDRESSES_S = 5.0
LINKS_S, LINKS_APART_S = 30.0, 0.2
RECORD_S = 600.0
USUAL_TOKEN_S = 86400.0

_FILE = "admission"


class Linked(Protocol):
    """What of the links is told."""

    news: asyncio.Event

    def report(self) -> tuple[Link, ...]: ...

    async def refresh(self) -> None: ...


class Home:
    def __init__(
        self,
        identity: Identity,
        managers: tuple[ManagerAt, ...],
        networks: tuple[IpNetwork, ...],
        own: OwnRecord,
        book: Book,
        links: Linked,
        orders: Orders,
        ram: Kept,
    ) -> None:
        """`managers` are those of the configuration; `networks` those where links and managers are looked for."""
        self._identity, self._me = identity, identity.node_id
        self._places, self._networks = managers, networks
        self._own, self._book, self._links, self._orders, self._ram = own, book, links, orders, ram
        self._bus: Bus | None = None
        self._admission = ram.read(_FILE, Admission) if managers else None
        self._turn = 0
        self.trouble = "no manager is configured" if not managers else "no manager was asked yet"
        """Why it is not connected."""
        self.ping_s: float | None = None
        """The last round trip to the manager's desk and back; None where there is no answer."""
        self.changed = asyncio.Event()
        """Set when it comes home or goes away, and with each ping."""
        self._came = asyncio.Event()
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
        """Raises RefusedError with the manager's reason, AwayError."""
        data = msgspec.json.encode(ask)
        bus = self._connected()
        try:
            answered = await bus.ask(subjects.up(self._me, "ask"), data, within_s)
            answer: object = decode(answered, Answer, "the manager's answer")  # type: ignore[arg-type]  # a union
        except (BusError, WordsError) as error:
            raise AwayError(f"no manager answers: {error}") from None
        if isinstance(answer, Refused):
            raise RefusedError(answer.why)
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

    async def restore(self) -> None:
        """The sessions with managers that were kept, into the book."""
        if self._admission is not None:
            try:
                await self._put_managers(self._admission)
            except (WordsError, IdentityError, ValueError) as error:
                log.warning("the kept admission is passed over: %s", error)
                self._admission = None

    async def run(self) -> None:
        """For ever, if any manager is configured."""
        pause_s = FIRST_PAUSE_S
        while self._places:
            try:
                await self._come_home()
                pause_s = FIRST_PAUSE_S
                await self._stay()
            except (NodeError, ManagerError, KernelError, IdentityError) as error:
                self._tell(str(error))
            finally:
                await self.close()
            await asyncio.sleep(pause_s * random.uniform(0.7, 1.0))  # noqa: S311  # only spreads the load
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def close(self) -> None:
        bus, self._bus, self.ping_s = self._bus, None, None
        self.changed.set()
        if bus is not None:
            await bus.close()

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble
        self.changed.set()

    # coming

    async def _come_home(self) -> None:
        """Raises NodeError, ManagerError, KernelError, IdentityError."""
        kept, self._bus = self._admission, None
        if kept is not None:
            with suppress(ManagerError, AwayError):
                self._bus = await self._connect(kept, KEPT_WITHIN_S)
        if self._bus is None:
            self._admission = admission = await self._join()
            self._bus = await self._connect(admission, JOINED_WITHIN_S)
        log.info("connected to the managers' bus")
        self.trouble = ""
        self._came.set()
        self.changed.set()

    async def _join(self) -> Admission:
        """One configured manager after the other, from the next on. Raises RefusedError, AwayError."""
        await self._refresh()
        told: list[NodeError] = []
        for number in range(len(self._places)):
            at = self._places[(self._turn + number) % len(self._places)]
            try:
                joined = await join(self._identity, self._own.signed, at)
            except (AwayError, RefusedError) as error:
                told.append(error)
                if isinstance(error, RefusedError) and self._own.outrun(str(error)):
                    self._turn += number
                    break
                continue
            self._turn += number + 1
            log.info("admitted by manager '%s'", joined.manager)
            return await self._take(joined)
        kind = RefusedError if all(isinstance(error, RefusedError) for error in told) else AwayError
        raise kind("; ".join(map(str, told)))

    async def _take(self, joined: Joined) -> Admission:
        known = {node_id: ip_address(place) for node_id, place in (self._kept_places()).items()}
        places: dict[NodeId, IpAddress] = {**known, joined.manager: joined.address}
        admission = read_admission(joined.admitted, places, self._networks)
        had = f"manager:{joined.manager}" in self._book.owners
        await self._put_managers(admission)
        if had:  # the manager's node has just forgotten the session
            await self._book.renew(peer_key(joined.manager))
        await self._orders.trust(admission.managers)
        self._ram.write(_FILE, admission)
        return admission

    def _kept_places(self) -> dict[NodeId, str]:
        """Of managers that this node has joined itself."""
        return self._admission.places if self._admission is not None else {}

    async def _put_managers(self, admission: Admission) -> None:
        """Raises WordsError, KernelError, NodeError."""
        changes = {owner: () for owner in self._book.owners if owner.startswith("manager:")}
        facts = {
            f"manager:{node_id}": manager_facts(record, admission.places[node_id])
            for node_id, record in admission.read_records().items()
            if node_id != self._me and node_id in admission.places
        }
        await self._book.set_many({**changes, **facts})

    async def _connect(self, admission: Admission, within_s: float) -> Bus:
        """Raises ManagerError, AwayError."""
        bus = Bus(self._identity, lambda told: log.info("%s", told))
        try:
            async with asyncio.timeout(within_s):
                await bus.connect(admission.urls, self._token)
                await bus.listen(subjects.down(self._me, ">"), lambda message: self._hear(bus, message))
                await bus.flush()
        except TimeoutError:
            await bus.close()
            raise AwayError(f"the bus at {', '.join(admission.urls)} does not answer") from None
        except BaseException:
            await bus.close()
            raise
        return bus

    def _token(self) -> str:
        return self._admission.token if self._admission is not None else ""

    async def _hear(self, bus: Bus, message: Message) -> None:
        await self._orders.take(message, bus.publish)

    # staying

    async def _stay(self) -> None:
        """Until the managers are away. Raises AwayError, or what ended it."""
        work = (self._watch, self._greet, self._ping, self._say_links, self._say_record, self._renew_token)
        tasks = [asyncio.get_running_loop().create_task(_until_lost(one)) for one in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            await end_tasks(tasks)

    async def _watch(self) -> None:
        away_s = 0.0
        bus = self._bus
        while bus is not None and not bus.closed.is_set():
            if bus.is_connected and away_s:
                self._came.set()
            away_s = 0.0 if bus.is_connected else away_s + 0.5
            if away_s >= AWAY_S:
                raise AwayError("the bus is away")
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
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
                await handler()
            while not self._came.is_set():
                try:
                    await self.ask(Labels(), AskDone)
                    break
                except (AwayError, RefusedError) as error:
                    log.info("labels are not ordered anew: %s", error)
                    await asyncio.sleep(1.0)

    async def _ping(self) -> None:
        """The desk's answer is the proof; a bus that carries nothing for long is left."""
        lost, clock = 0, asyncio.get_running_loop().time
        while True:
            began_s = clock()
            try:
                await self.ask(Ping(), AskDone, PING_WITHIN_S)
            except (AwayError, RefusedError) as error:
                lost, self.ping_s, self.trouble = lost + 1, None, str(error)
                if lost >= PINGS_LOST and "nobody answers" not in str(error):
                    raise
            else:
                lost, self.ping_s, self.trouble = 0, clock() - began_s, ""
            self.changed.set()
            await asyncio.sleep(PING_S if not lost else 1.0)

    async def _say_links(self) -> None:
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
            life_s = token_life_s(self._token()) or USUAL_TOKEN_S
            await asyncio.sleep(life_s / 2)
            try:
                token = (await self.ask(Renew(), Token)).token
            except AwayError:
                continue  # at half of what is left
            if self._admission is not None:
                self._admission = msgspec.structs.replace(self._admission, token=token)
                self._ram.write(_FILE, self._admission)


async def _until_lost(work: Callable[[], Awaitable[None]]) -> None:
    await work()
