"""Keeps the peerings of which this manager is the border: asks until it is answered, then says every few seconds what
is offered, compares the routes that cross, and looks for a peer that is silent. What it learns goes into the buckets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

import msgspec
from msgspec.structs import replace

from services.addresses import session_address
from services.keys import Identity, NodeId
from services.manager.bus import Bus, Message
from services.manager.config import place_text, read_place
from services.manager.directory import Directory
from services.manager.ending import end_tasks
from services.manager.errors import BusError, JoinError, LocalNodeError, ManagerError, RefusedError, WordsError
from services.manager.local_node import LocalNode
from services.manager.peering import words as said
from services.manager.peering.crossings import Crossings
from services.manager.peering.doorway import AwayError, Knocked, knock
from services.manager.peering.knock import Wants
from services.manager.peering.line import Listener, ask
from services.manager.peering.model import Import, Peer
from services.manager.peering.peers import Peers
from services.manager.record import read_record
from services.manager.registry import Registry
from services.manager.server_config import Address
from services.manager.store import Store

log = logging.getLogger(__name__)

LOOK_S, SAY_S = 1.0, 10.0
SILENT_TIMES = 2
"""Questions without an answer, before it is looked for at its join port."""

KNOCK_S, SELDOM_S, SELDOM_AFTER = 3.0, 30.0, 100
PUT_AGAIN_S = 30.0

Cross = Callable[[NodeId, said.Ask], Awaitable[said.Answer]]
"""To who leads. Raises RefusedError, BusError."""


class Condition:
    """How it stands with one peer; `heard_s` by the monotonic clock."""

    def __init__(self) -> None:
        self.heard_s: float | None = None
        self.why = "nothing was said yet"
        self.failures = 0


class Keeper:
    """`own_at` is where others reach this manager's join port, `source` its session address."""

    def __init__(
        self,
        identity: Identity,
        peers: Peers,
        store: Store,
        local: LocalNode,
        registry: Registry,
        directory: Directory,
        crossings: Crossings,
        cross: Cross,
        own_at: Callable[[], str],
        *,
        source: Address,
        address_of: Callable[[NodeId], Address] = session_address,
    ) -> None:
        self._identity, self._me = identity, identity.node_id
        self._peers, self._store, self._local, self._registry = peers, store, local, registry
        self._directory, self._crossings, self._cross, self._own_at = directory, crossings, cross, own_at
        self._source, self._address_of = source, address_of
        self._listener = Listener(self._hear)
        self._bus: Bus | None = None
        self._unlisten: Callable[[], Awaitable[None]] | None = None
        self._kept: dict[NodeId, tuple[Peer, asyncio.Task[None]]] = {}
        self._told: dict[NodeId, tuple[int, tuple[str, ...], str]] = {}
        self._put: dict[tuple[NodeId, NodeId, str], tuple[Import, float]] = {}
        self.conditions: dict[NodeId, Condition] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._parting: set[asyncio.Task[None]] = set()
        peers.on_change.append(lambda _: self._news.set())

    async def start(self, bus: Bus) -> None:
        """Raises EngineError, BusError."""
        self._bus = bus
        await self._listener.start((str(self._source), said.PORT))
        self._unlisten = await bus.listen(subject(self._me), self._take_passed)
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        tasks = [task for _, task in self._kept.values()]
        await end_tasks([*tasks, *self._parting, *([self._task] if self._task is not None else [])])
        if self._unlisten is not None and self._bus is not None and self._bus.is_connected:
            await self._unlisten()
        await self._listener.stop()

    # asking

    async def ask(self, manager: NodeId, asked: said.Ask) -> said.Answer:
        """By the border, which may be another manager of ours. Raises BusError, WordsError, RefusedError."""
        peer = self._peers.peered.get(manager)
        if peer is None:
            raise RefusedError("these two clusters are not peered")
        if peer.border == self._me:
            return await self._ask(peer.manager_id, asked)
        if self._bus is None:
            raise BusError("not connected")
        passed = msgspec.json.encode(_Passed(manager, msgspec.json.encode(asked)))
        return said.read_answer(await self._bus.ask(subject(peer.border), passed, 7.0))

    async def _ask(self, manager: NodeId, asked: said.Ask, within_s: float = 6.0) -> said.Answer:
        if isinstance(asked, said.Half):
            asked = replace(asked, vouch=said.vouch_for(self._identity, asked))
        elif isinstance(asked, said.Lay):
            asked = replace(asked, vouch=said.vouch_for(self._identity, said.read_lay(asked)))
        return await ask(self._source, (str(self._address_of(manager)), said.PORT), asked, within_s)

    async def _take_passed(self, message: Message) -> None:
        self._spawn(self._answer_passed(message))

    async def _answer_passed(self, message: Message) -> None:
        try:
            passed = msgspec.json.decode(message.data, type=_Passed)
            answer = await self._ask(passed.manager, said.read_ask(passed.ask))
        except (ManagerError, msgspec.DecodeError) as error:
            answer = said.Refused(str(error), again=isinstance(error, BusError))
        if self._bus is not None:
            await self._bus.publish(message.reply, msgspec.json.encode(answer))

    def _spawn(self, work: Awaitable[None]) -> None:
        async def told() -> None:
            try:
                await work
            except ManagerError as error:
                log.info("%s", error)

        task = asyncio.get_running_loop().create_task(told())
        self._parting.add(task)
        task.add_done_callback(self._parting.discard)

    # being asked

    async def _hear(self, address: str, asked: said.Ask) -> said.Answer:
        peer = next(
            (one for one in self._peers.borders_at(self._me) if str(self._address_of(one.manager_id)) == address), None
        )
        if peer is None:
            raise RefusedError("these two clusters are not peered (any more)")
        match asked:
            case said.Say():
                return await self._take_said(peer, asked)
            case said.Bye(why):
                log.info("cluster '%s' ends the peering: %s", peer.manager_id, why)
                await self._end(peer, "they ended it")
                return said.Done()
        return await self._cross(peer.manager_id, asked)

    async def _take_said(self, peer: Peer, words: said.Say) -> said.Heard:
        manager, now_s = peer.manager_id, time.monotonic()
        record = read_record(words.record)
        if record.node_id != manager:
            raise WordsError(f"cluster '{manager}' says the record of another")
        if words.record != peer.record and record.sequence > read_record(peer.record).sequence:
            await self._put_peer(replace(peer, record=words.record))
        kept = set[tuple[NodeId, str]]()
        for one in words.services:
            service = said.read_offered(one)
            place = service.node_id, service.name
            if service.node_id in self._registry.nodes:
                continue
            kept.add(place)
            before = self._put.get((manager, *place))
            if before is None or before[0] != one or now_s - before[1] > PUT_AGAIN_S:
                await self._store.put_import(manager, one)
                self._put[manager, *place] = one, now_s
        for known in self._peers.imports(cluster=manager):
            if (known.service.node_id, known.service.name) not in kept:
                await self._store.withdraw_import(manager, known.service.node_id, known.service.name)
                self._put.pop((manager, known.service.node_id, known.service.name), None)
        await self._crossings.compare(peer, begun_there=True, routes=words.routes)
        return said.Heard(self._crossings.routes(peer, begun_there=True))

    # keeping

    async def _keep(self) -> None:
        """A task for each peer whose border this is, begun anew with each change of what it goes by."""
        while True:
            self._news.clear()
            mine = {manager: peer for manager, peer in self._peers.all.items() if peer.border == self._me}
            for manager, (peer, task) in [*self._kept.items()]:
                now = mine.get(manager)
                if now is None or _gist(now) != _gist(peer):
                    del self._kept[manager]
                    await end_tasks([task])
                    if peer.stage == "peered" and (now is None or now.stage != "peered"):
                        self._spawn(self._part(peer, is_known=now is not None))
            for manager, peer in mine.items():
                if manager not in self._kept and peer.stage in {"asked", "peered"}:
                    self.conditions.setdefault(manager, Condition())
                    work = self._keep_asking(peer) if peer.stage == "asked" else self._keep_saying(peer)
                    self._kept[manager] = peer, asyncio.get_running_loop().create_task(work)
            await self._news.wait()

    async def _keep_asking(self, peer: Peer) -> None:
        condition, count = self.conditions[peer.manager_id], 0
        while True:
            try:
                heard, address = await self._knock(peer, "peer")
                condition.why = "it waits for their operator"
                if heard.stage == "peered":
                    await self._put_peer(replace(peer, stage="peered", record=heard.record, address=address, why=""))
                elif heard.stage in {"refused", "ended"}:
                    await self._put_peer(replace(peer, stage="refused", why="their operator refused"))
            except ManagerError as error:
                condition.why = str(error)
            count += 1
            await asyncio.sleep(KNOCK_S if count < SELDOM_AFTER else SELDOM_S)

    async def _keep_saying(self, peer: Peer) -> None:
        manager, condition = peer.manager_id, self.conditions[peer.manager_id]
        if condition.heard_s is None:  # who was just accepted need not ask again first
            self._spawn(self._look_for(peer))
        last, last_s = b"", 0.0
        while True:
            try:
                await self._bring_node(peer)
                words = self._say_words(peer)
                data = msgspec.json.encode(words)
                if data != last or time.monotonic() - last_s >= SAY_S or condition.failures:
                    await self._say(self._peers.all.get(manager, peer), words)
                    last, last_s = data, time.monotonic()
            except ManagerError as error:
                condition.failures += 1
                condition.why = str(error)
                if condition.failures % SILENT_TIMES == 0:
                    await self._look_for(peer)
            await asyncio.sleep(LOOK_S)

    async def _say(self, peer: Peer, words: said.Say) -> None:
        answer = await self._ask(peer.manager_id, words)
        if isinstance(answer, said.Refused):
            raise RefusedError(answer.why[:300])
        if not isinstance(answer, said.Heard):
            raise WordsError("they answer something else than was asked")
        condition = self.conditions[peer.manager_id]
        if condition.heard_s is None or condition.failures:
            log.info("cluster '%s' is there", peer.manager_id)
        condition.heard_s, condition.why, condition.failures = time.monotonic(), "", 0
        await self._crossings.compare(peer, begun_there=False, routes=answer.routes)

    def _say_words(self, peer: Peer) -> said.Say:
        peer = self._peers.all.get(peer.manager_id, peer)
        called = {node_id: name for name, node_id in sorted(self._registry.names.items(), reverse=True)}
        offers = [one for one in self._directory.find() if peer.exports.allows(one.service.name, one.service.node_id)]
        services = said.fitting(Import(one.signed, called.get(one.service.node_id, "")) for one in offers)
        return said.Say(services, self._crossings.routes(peer, begun_there=False), self._own_record())

    def _own_record(self) -> bytes:
        """Raises RefusedError."""
        known = self._registry.nodes.get(self._me)
        if known is None:
            raise RefusedError("this manager's own node has not joined it yet")
        return known.signed

    async def _bring_node(self, peer: Peer, *, renew: bool = False) -> None:
        """The node here lets their border in. Raises LocalNodeError."""
        record = read_record(peer.record)
        places = []
        for text in (*([peer.address] if peer.address else []), *record.endpoints):
            try:
                places.append(read_place(text)[0])
            except ValueError:
                continue
        endpoint = place_text(places[0], record.session_port) if places else ""
        wanted = (self._local.life, tuple(dict.fromkeys(places)), endpoint)
        if renew or self._told.get(peer.manager_id) != wanted:
            await self._local.border(peer.manager_id, wanted[1], endpoint, renew=renew)
            self._told[peer.manager_id] = (self._local.life, *wanted[1:])

    async def _look_for(self, peer: Peer) -> None:
        """At its join port: its address may be another, its clock may have gone back, it may have ended this."""
        if not peer.at:
            return
        try:
            heard, address = await self._knock(peer, "still")
            if heard.stage == "peered":
                self._told.pop(peer.manager_id, None)
                await self._bring_node(replace(peer, record=heard.record, address=address), renew=True)
                await self._put_peer(replace(peer, record=heard.record, address=address))
            elif heard.stage == "ended":
                await self._end(peer, "they ended it")
        except ManagerError as error:
            self.conditions[peer.manager_id].why = str(error)

    async def greet(self, peer: Peer) -> None:
        """It has just knocked: its session with the node here begins anew. Raises LocalNodeError."""
        if peer.stage == "peered" and peer.border == self._me:
            await self._bring_node(peer, renew=True)

    async def _knock(self, peer: Peer, wants: Wants) -> Knocked:
        """At the address that they were seen from last, else where they say that their door is."""
        seen = place_text(peer.address, read_place(peer.at)[1]) if peer.address else peer.at
        places = dict.fromkeys([seen, peer.at] if peer.stage == "peered" else [peer.at])
        words = (wants, self._own_record(), self._own_at())
        *first, last = places
        for at in first:
            with contextlib.suppress(AwayError):
                return await knock(self._identity, peer.manager_id, at, *words)
        return await knock(self._identity, peer.manager_id, last, *words)

    async def _put_peer(self, peer: Peer) -> None:
        """What an operator decided meanwhile stands."""
        now = self._peers.all.get(peer.manager_id)
        if now is not None:
            await self._store.put_peer(replace(peer, exports=now.exports, name=now.name))

    async def _end(self, peer: Peer, why: str) -> None:
        await self._store.forget_imports(peer.manager_id)
        await self._put_peer(replace(peer, stage="ended", why=why, since_unix_s=int(time.time())))

    async def _part(self, peer: Peer, *, is_known: bool) -> None:
        """They are told, over the mesh or at their door, and the node here forgets them."""
        manager = peer.manager_id
        if not is_known:
            try:
                await self._ask(manager, said.Bye("their operator ended it"), within_s=2.0)
            except (BusError, WordsError):
                if peer.at:
                    try:
                        await self._knock(peer, "end")
                    except (AwayError, JoinError, RefusedError) as error:
                        log.info("cluster '%s' is not told that it is over: %s", manager, error)
        self.conditions.pop(manager, None)
        self._told.pop(manager, None)
        self._put = {place: put for place, put in self._put.items() if place[0] != manager}
        if manager in self._peers.peered:
            return  # again, meanwhile
        try:
            await self._local.unmember(manager)
        except LocalNodeError as error:
            log.warning("the node here still knows cluster '%s': %s", manager, error)


class _Passed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    manager: NodeId
    ask: bytes


def subject(manager: NodeId) -> str:
    """Of the bus; only managers may use it (`subjects`)."""
    return f"border.{manager}"


def _gist(peer: Peer) -> tuple[object, ...]:
    """What a task goes by; the rest it looks up each time."""
    return peer.stage, peer.at, peer.record, peer.address
