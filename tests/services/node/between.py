"""Ends of sessions in one process, and between them a manager that is three dictionaries: it hands over real signed
words, gives labels, and can be told to lie. The book collects what is wanted of the kernel; none is touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import msgspec

from services.addresses import End, read_route_id, route_address
from services.kernel import rules
from services.keys import Identity, NodeId, new_seed
from services.manager import asks
from services.manager.model import Label, Service
from services.manager.offer import read_service
from services.manager.signed import Order
from services.node.api_words import Publish
from services.node.book import Book
from services.node.borders import Borders
from services.node.config import Config
from services.node.errors import AwayError, RefusedError
from services.node.kept import Kept
from services.node.kernel_thread import Kernel
from services.node.model import RouteEnd
from services.node.own import own_facts
from services.node.probes import Prober
from services.node.services import Publisher
from services.node.sessions import Sessions
from services.node.troubles import Troubles

CLUSTER = Identity(new_seed()).node_id
RELAYS = tuple(Identity(new_seed()).node_id for _ in range(2))


@dataclass
class Ends:
    """The labels of one node."""

    held: dict[str, RouteEnd] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    def end(self, route: str) -> RouteEnd | None:
        return self.held.get(route)

    def keep(self, route: str) -> None:
        self.kept.add(route)

    async def drop(self, *routes: str) -> None:
        for route in routes:
            self.held.pop(route, None)

    def states(self) -> list[tuple[Label, float]]:
        return []


@dataclass
class Home:
    """One node's way to the manager."""

    me: NodeId
    manager: Manager
    is_connected: bool = True
    managers: tuple[NodeId, ...] = (CLUSTER,)
    said: list[tuple[str, bytes]] = field(default_factory=list)
    handlers: dict[str, Callable[[Order], Awaitable[asks.Reply]]] = field(default_factory=dict)
    expelled: list[Callable[[NodeId], Awaitable[None]]] = field(default_factory=list)

    async def ask(self, ask: asks.Ask, kind: type[Any], within_s: float = 5.0) -> Any:
        if not self.is_connected:
            raise AwayError("not connected to a manager")
        answer = await self.manager.answer(self.me, ask)
        if isinstance(answer, asks.Refused):
            raise RefusedError(answer.why)
        assert isinstance(answer, kind)
        return answer

    async def say(self, what: str, data: bytes) -> None:
        self.said.append((what, data))

    def on(self, kind: str, handler: Any) -> None:
        self.handlers[kind] = handler

    def on_home(self, handler: Any) -> None:
        assert callable(handler)

    def on_expelled(self, handler: Any) -> None:
        self.expelled.append(handler)

    async def order(self, kind: str, body: object) -> asks.Reply:
        return await self.handlers[kind](Order(self.me, 1, kind, msgspec.Raw(msgspec.json.encode(body))))


@dataclass
class Begun:
    ask: asks.Begin
    by: NodeId
    paths: tuple[asks.Path, ...]


class Manager:
    """`lie` changes an answer before it is given; `on_open` runs before a request is handed over."""

    def __init__(self) -> None:
        self.nodes: dict[NodeId, Node] = {}
        self.begun: dict[bytes, Begun] = {}
        self.requests: list[asks.SessionOffer] = []
        self.closed: list[str] = []
        self.direct: tuple[str, ...] = ()
        self.relays = 2
        self.names: dict[str, NodeId] = {}
        self.lie: Callable[[asks.Answer], asks.Answer] = lambda answer: answer
        self.on_open: Callable[[], Awaitable[None]] | None = None
        self.with_labels = True

    async def answer(self, by: NodeId, ask: asks.Ask) -> asks.Answer:
        match ask:
            case asks.Begin():
                return self.lie(await self._begin(by, ask))
            case asks.Open(request):
                return await self._open(by, request)
            case asks.Close(routes):
                self.closed.extend(routes)
                return asks.Done()
            case asks.Find(name, _):
                found = [signed for node in self.nodes.values() for signed in node.offered()]
                return asks.Found(tuple(signed for signed in found if name in {"", read_service(signed).name}))
            case asks.Name(name):
                return asks.Named(self.names.get(name))
        raise AssertionError(ask)

    async def _begin(self, by: NodeId, ask: asks.Begin) -> asks.Answer:
        wanted = asks.ChallengeWanted(by, ask.service, CLUSTER)
        reply = await self.nodes[ask.responder].home.order(asks.CHALLENGE, wanted)
        if reply.why:
            return asks.Refused(reply.why)
        free = [relay for relay in RELAYS[: self.relays] if relay not in ask.beside]
        paths = tuple(
            asks.Path(route, (by, relay, ask.responder), 1420, 0.01)
            for route, relay in zip(ask.routes, free, strict=False)
        )
        self.begun[reply.challenge] = Begun(ask, by, paths)
        direct = self.direct if ask.policy.permits_direct else ()
        return asks.Begun(reply.challenge, paths, direct, session_port=51821)

    async def _open(self, by: NodeId, signed: bytes) -> asks.Answer:
        if self.on_open is not None:
            await self.on_open()
        request = msgspec.json.decode(msgspec.json.decode(signed, type=_Signed).text, type=asks.SessionRequest)
        begun = self.begun.pop(request.challenge)
        if self.with_labels:
            for path in begun.paths:
                relay = path.nodes[1]
                self.nodes[by].labels.held[path.route] = _end(path.route, End.INITIATOR, relay)
                self.nodes[begun.ask.responder].labels.held[path.route] = _end(path.route, End.RESPONDER, relay)
        offer = asks.SessionOffer(signed, CLUSTER)
        self.requests.append(offer)
        reply = await self.nodes[begun.ask.responder].home.order(asks.SESSION, offer)
        return asks.Refused(reply.why) if reply.why else asks.Opened()


class _Signed(msgspec.Struct):
    text: bytes


class OwnEndpoints:
    def session_endpoints(self) -> tuple[str, ...]:
        return ("192.0.2.1:51821",)


class Node:
    def __init__(self, manager: Manager, folder: Path, identity: Identity | None = None) -> None:
        self.identity = identity or Identity(new_seed())
        self.node_id = self.identity.node_id
        self.home, self.labels = Home(self.node_id, manager), Ends()
        manager.nodes[self.node_id] = self
        self.folder, self.manager = folder / self.node_id[:8], manager
        self.kept = Kept(self.folder)
        self.prober = Prober(self.identity)
        self.book = Book(Kernel())
        self.troubles = Troubles()
        config = Config(seed=folder, ram=folder, card=folder, socket=folder / "s")
        self.publisher = Publisher(self.identity, config, self.book, self.home, self.kept)
        self.borders = Borders(self.kept)
        self.sessions = Sessions(
            self.identity,
            config,
            OwnEndpoints(),
            self.book,
            self.labels,
            self.home,
            self.prober,
            self.kept,
            self.publisher,
            self.borders,
            self.troubles,
        )

    async def start(self) -> Node:
        await self.book.set("own", own_facts(self.identity, rules.Settings()))
        await self.publisher.restore()
        await self.sessions.restore()
        await self.prober.start(0)
        await self.sessions.start()
        return self

    async def close(self) -> None:
        await self.sessions.close()
        await self.publisher.close()
        await self.prober.close()

    async def again(self) -> Node:
        """The process dies and another is started; labels are restored by themselves."""
        await self.close()
        new = Node(self.manager, self.folder.parent, self.identity)
        new.labels.held = self.labels.held
        return await new.start()

    def facts(self, owner: str) -> set[object]:
        return set(self.book._held.get(owner, ()))

    def offered(self) -> list[bytes]:
        said = [data for what, data in self.home.said if what == "services"]
        return list(msgspec.json.decode(said[-1], type=tuple[bytes, ...])) if said else []

    def services(self) -> list[Service]:
        return [read_service(signed) for signed in self.offered()]


def _end(route: str, end: End, peer_side: NodeId) -> RouteEnd:
    other = End.RESPONDER if end is End.INITIATOR else End.INITIATOR
    own, far = (route_address(read_route_id(route), one) for one in (end, other))
    return RouteEnd(route, IPv6Address(own), IPv6Address(far), peer_side, 1420)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("waited in vain")


Test = Callable[[Manager, Node, Node], Awaitable[None]]


def run(folder: Path, test: Test) -> None:
    """`a` has the lower id; `b` offers `web` to anyone."""

    async def go() -> None:
        manager = Manager()
        low, high = sorted((Identity(new_seed()), Identity(new_seed())), key=lambda one: one.node_id)
        a, b = [await Node(manager, folder, identity).start() for identity in (low, high)]
        await b.publisher.publish(Publish("web", 8080))
        await a.publisher.publish(Publish("web", 8080))
        try:
            async with asyncio.timeout(60):
                await test(manager, a, b)
        finally:
            for node in manager.nodes.values():
                await node.close()

    asyncio.run(go())
