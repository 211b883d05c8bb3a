"""Answers what nodes ask (`asks`). What changes something is done by the manager that leads; the others hand it on.

up.<id>.ask   node → any manager   ┬ known here: answered
desk.ask      → who leads          ┴ else, as long as nobody leads, asked again
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from services.keys import NodeId
from services.manager import asks
from services.manager.bus import Bus, Message
from services.manager.directory import MOST_FOUND, Directory, found_words
from services.manager.ending import end_tasks
from services.manager.errors import BusError, HopError, ManagerError, RefusedError, WordsError
from services.manager.expulsion import Expulsion
from services.manager.hops import Hops
from services.manager.introducer import Introducer
from services.manager.lease import Lease
from services.manager.peering.crossing import Crossing
from services.manager.peering.peers import Peers
from services.manager.peering.teller import Teller
from services.manager.peering.words import Answer as CrossAnswer
from services.manager.peering.words import Ask, read_answer, read_ask
from services.manager.registry import Registry
from services.manager.sessions import Sessions
from services.manager.signed import decode
from services.updates.model import BoardState

log = logging.getLogger(__name__)

DESK = "desk.ask"
LOOK_S, WAIT_S = 0.5, 60.0
"""While it leads: whether it still does. Else it is told."""

PASS_WITHIN_S, PASS_AGAIN_S, ONE_PASS_S = 8.0, 0.2, 6.0


class _Passed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="passed"):
    """From a manager to who leads."""


class Asked(_Passed, frozen=True, tag="asked"):
    """By that node."""

    node_id: NodeId
    ask: bytes


class Build(_Passed, frozen=True, tag="build"):
    """By a person: a route through these nodes."""

    route: str
    nodes: tuple[NodeId, ...]
    mtu: int


class Drop(_Passed, frozen=True, tag="drop"):
    """By a person: a route, whosever it is."""

    route: str


class Crossed(_Passed, frozen=True, tag="crossed"):
    """By the manager of a peered cluster."""

    manager: NodeId
    ask: bytes


Passed = Asked | Build | Drop | Crossed


class Abroad(NamedTuple):
    """What the desk needs for other clusters."""

    peers: Peers
    crossing: Crossing
    teller: Teller


class Desk:
    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        registry: Registry,
        directory: Directory,
        sessions: Sessions,
        hops: Hops,
        introducer: Introducer,
        expulsion: Expulsion,
        make_token: Callable[[NodeId], str],
        abroad: Abroad,
        take_board: Callable[[NodeId, BoardState], Awaitable[None]],
    ) -> None:
        self._bus, self._lease, self._registry, self._directory = bus, lease, registry, directory
        self._sessions, self._hops = sessions, hops
        self._introducer, self._expulsion, self._make_token = introducer, expulsion, make_token
        self._peers, self._crossing, self._teller = abroad
        self._take_board = take_board
        self._task: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep_listening())

    async def stop(self) -> None:
        if self._task is not None:
            await end_tasks([self._task, *self._working])

    async def take(self, node_id: NodeId, data: bytes) -> bytes | None:
        """The intake's handler. Raises BusError: no answer, the node asks again."""
        if node_id in self._registry.expelled:
            return None
        try:
            ask = _read_ask(node_id, data)
            if isinstance(ask, asks.Board):
                await self._take_board(node_id, ask.state)
            answer = self._answer_here(node_id, ask)
            if answer is None and self._lease.is_held:
                answer = await self._answer_leading(node_id, ask)
        except (RefusedError, WordsError) as error:
            answer = asks.Refused(str(error), again=isinstance(error, RefusedError) and error.again)
        if answer is None:
            return await self._hand_on(Asked(node_id, data))
        return msgspec.json.encode(answer)

    async def act(self, act: Build | Drop) -> None:
        """Raises RefusedError, BusError."""
        if self._lease.is_held:
            await self._act(act)
            return
        answer: asks.Answer = decode(await self._hand_on(act), asks.Answer, "answer")  # type: ignore[arg-type]
        if isinstance(answer, asks.Refused):
            raise RefusedError(answer.why)

    async def cross(self, manager: NodeId, ask: Ask) -> CrossAnswer:
        """What that peer asks of us. Raises RefusedError, BusError."""
        if self._lease.is_held:
            return await self._crossing.answer(manager, ask)
        return read_answer(await self._hand_on(Crossed(manager, msgspec.json.encode(ask))))

    async def _act(self, act: Build | Drop) -> None:
        match act:
            case Build(route, nodes, mtu):
                await self._sessions.build(route, nodes, mtu)
            case Drop(route):
                self._hops.drop([route])

    def _answer_here(self, node_id: NodeId, ask: asks.Ask) -> asks.Answer | None:
        """What any manager knows; None is for who leads."""
        match ask:
            case asks.Find(name, of):
                return self._find(name, of)
            case asks.Name(name):
                return asks.Named(self._registry.names.get(name.lower()) or self._peers.named(name))
            case asks.Renew():
                return asks.Token(self._make_token(node_id))
            case asks.Ping() | asks.Board():
                return asks.Done()
        return None

    def _find(self, name: str, of: str) -> asks.Found:
        """Here first, then what other clusters offer."""
        here = found_words(self._directory.find(name, of))
        known = {
            (one.service.node_id, one.service.name): one
            for one in reversed(self._peers.imports(name, of))
            if one.service.node_id not in self._registry.nodes
        }
        there = [*reversed(known.values())][: MOST_FOUND - len(here)]
        clusters = {str(one.service.node_id): one.cluster for one in there}
        return asks.Found((*here, *(one.words.signed for one in there)), clusters)

    async def _answer_leading(self, node_id: NodeId, ask: asks.Ask) -> asks.Answer:
        match ask:
            case asks.Begin():
                return await self._sessions.begin(node_id, ask)
            case asks.Open():
                return await self._sessions.open(node_id, ask)
            case asks.Close(routes):
                self._sessions.close(node_id, routes)
            case asks.Labels():
                await self._order_all(node_id)
        return asks.Done()

    async def _order_all(self, node_id: NodeId) -> None:
        """With whom to keep links, who is out, every label."""
        try:
            await self._introducer.introduce(node_id)
            await self._expulsion.tell(node_id)
            await self._teller.bring(node_id, anew=True)
            await self._hops.order_all(node_id)
        except HopError as error:
            raise RefusedError(str(error)) from None

    # handing on

    async def _hand_on(self, passed: Passed) -> bytes:
        data = msgspec.json.encode(passed)
        clock = asyncio.get_running_loop().time
        give_up = clock() + PASS_WITHIN_S
        while True:
            try:
                return await self._bus.ask(DESK, data, ONE_PASS_S)
            except BusError:
                if clock() + PASS_AGAIN_S > give_up:
                    raise
            await asyncio.sleep(PASS_AGAIN_S)

    async def _keep_listening(self) -> None:
        """While this manager leads. Who leads no more answers nothing: it asks its lease before each act."""
        end: Callable[[], Awaitable[None]] | None = None
        has_begun = False
        while True:
            try:
                if self._lease.is_held and end is None:
                    end = await self._bus.listen(DESK, self._take_passed)
                    has_begun = False
                elif not self._lease.is_held and end is not None:
                    ending, end = end, None
                    await ending()
                if end is not None and not has_begun:
                    await self._begin_leading()
                    has_begun = True
            except ManagerError as error:
                log.warning("the desk is opened late: %s", error)
            if end is not None or self._lease.is_held:
                await asyncio.sleep(LOOK_S)
            else:
                with contextlib.suppress(TimeoutError):
                    await self._lease.wait_held(WAIT_S)

    async def _begin_leading(self) -> None:
        log.info("this manager leads")
        await self._hops.undo_half_done()
        await self._expulsion.tell_all()

    async def _take_passed(self, message: Message) -> None:
        task = asyncio.get_running_loop().create_task(self._answer_passed(message))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _answer_passed(self, message: Message) -> None:
        answer: asks.Answer | CrossAnswer
        try:
            passed: Passed = decode(message.data, Passed, "what a manager hands on")  # type: ignore[arg-type]
            if isinstance(passed, Asked):
                answer = await self._answer_leading(passed.node_id, _read_ask(passed.node_id, passed.ask))
            elif isinstance(passed, Crossed):
                answer = await self._crossing.answer(passed.manager, read_ask(passed.ask))
            else:
                await self._act(passed)
                answer = asks.Done()
        except (RefusedError, WordsError) as error:
            answer = asks.Refused(str(error), again=isinstance(error, RefusedError) and error.again)
        except ManagerError as error:
            log.warning("what was handed on is not answered: %s", error)
            return
        await self._bus.publish(message.reply, msgspec.json.encode(answer))


def _read_ask(node_id: NodeId, data: bytes) -> asks.Ask:
    ask: asks.Ask = decode(data, asks.Ask, f"ask of node '{node_id}'")  # type: ignore[arg-type]
    return ask
