"""A manager's program in this process, with a real nats-server, and nodes that are only their bus ends: real identities
that join at the real door, say what they are asked to say, and carry out real orders.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from services.addresses import session_address
from services.keys import Identity, NodeId, new_seed
from services.manager import asks
from services.manager.admission import Admitted, NodeEnd
from services.manager.bus import Bus, Message
from services.manager.config import Config, Join, Limits
from services.manager.errors import WordsError
from services.manager.manager import Manager
from services.manager.model import Label, Service
from services.manager.offer import SERVICE
from services.manager.record import make_record, read_record, sign_record
from services.manager.routes.model import Link
from services.manager.server_config import Address
from services.manager.signed import Order, read_order, sign
from services.manager.subjects import up
from tests.fakes.local_node import FakeLocalNode
from tests.services.manager.engine.rack import new_address

T = TypeVar("T")
OPEN = Join(listen="127.0.0.1:0", admit="open")
JOINED_WITHIN_S = 20.0


@dataclass
class Node:
    """One end: what it holds and was told is kept; `refuses` and `is_deaf` are its moods about orders of a kind."""

    identity: Identity
    relays: bool = True
    sequence: int = 1
    managers: tuple[NodeId, ...] = ()
    labels: dict[str, Label] = field(default_factory=dict)
    neighbours: dict[NodeId, str] = field(default_factory=dict)
    expelled: set[NodeId] = field(default_factory=set)
    borders: dict[NodeId, tuple[str, ...]] = field(default_factory=dict)
    offers: list[asks.SessionOffer] = field(default_factory=list)
    challenges: list[asks.ChallengeWanted] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    is_deaf: set[str] = field(default_factory=set)
    wrong_orders: list[str] = field(default_factory=list)
    last: int = 0
    orders: list[Order] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    bus: Bus | None = None

    @property
    def id(self) -> NodeId:
        return self.identity.node_id

    def record(self, **options: Any) -> bytes:
        options = {"relays": self.relays, **options}
        return sign_record(
            self.identity, make_record(self.identity, self.sequence, ("192.0.2.7:51820",), "1", **options)
        )

    async def join(self, port: int, token: str = "", source: str = "127.0.0.1") -> Admitted:
        """Raises JoinError."""
        return await knock(port, NodeEnd(self.identity, self.record(), token), source)

    async def connect(self, admitted: Admitted) -> None:
        self.managers = admitted.managers
        self.bus = Bus(self.identity, lambda _: None)
        await self.bus.connect(list(admitted.bus_urls), lambda: admitted.bus_token)
        await self.bus.listen(f"down.{self.id}.>", self._hear)
        await self.bus.flush()

    async def close(self) -> None:
        if self.bus is not None:
            await self.bus.close()

    async def say(self, what: str, data: bytes) -> None:
        assert self.bus is not None
        await self.bus.publish(up(self.id, what), data)
        await self.bus.flush()

    async def say_links(self, *others: "Node", latency_s: float = 0.001, is_up: bool = True) -> None:
        links = tuple(Link(self.id, other.id, latency_s, up=is_up) for other in others)
        await self.say("links", msgspec.json.encode(links))

    async def say_services(self, *names: str) -> None:
        offered = tuple(sign(self.identity, SERVICE, Service(self.id, name, 1080, 1)) for name in names)
        await self.say("services", msgspec.json.encode(offered))

    async def ask(self, ask: asks.Ask, within_s: float = 12) -> asks.Answer:
        assert self.bus is not None
        answer = await self.bus.ask(up(self.id, "ask"), msgspec.json.encode(ask), within_s)
        return msgspec.json.decode(answer, type=asks.Answer)  # type: ignore[no-any-return]

    async def _hear(self, message: Message) -> None:
        assert self.bus is not None
        try:
            order = read_order(message.data, self.id, self.managers, self.last)
        except WordsError as error:
            self.wrong_orders.append(str(error))
            return
        self.last = order.revision
        self.orders.append(order)
        if order.kind not in self.is_deaf:
            await self.bus.publish(message.reply, msgspec.json.encode(self._obey(order)))
        self.news.set()

    def _obey(self, order: Order) -> asks.Reply:
        if order.kind in self.refuses:
            return asks.Reply(self.refuses[order.kind])
        body = order.body
        match order.kind:
            case asks.LABEL:
                label = msgspec.json.decode(body, type=Label)
                if label.gone:
                    self.labels.pop(label.route, None)
                else:
                    self.labels[label.route] = label
            case asks.CHALLENGE:
                self.challenges.append(msgspec.json.decode(body, type=asks.ChallengeWanted))
                return asks.Reply(challenge=bytes(asks.CHALLENGE_BYTES))
            case asks.SESSION:
                self.offers.append(msgspec.json.decode(body, type=asks.SessionOffer))
            case asks.NEIGHBOURS:
                self.neighbours = neighbours_of(msgspec.json.decode(body, type=asks.Neighbours))
            case asks.EXPELLED:
                self.expelled |= set(msgspec.json.decode(body, type=asks.ExpelledNodes).node_ids)
            case asks.BORDERS:
                self.borders = msgspec.json.decode(body, type=asks.Borders).clusters
            case kind:
                return asks.Reply(f"unknown order '{kind}'")
        return asks.Reply()

    async def until(self, holds: Callable[[], bool], what: str, within_s: float = 20) -> None:
        async with asyncio.timeout(within_s):
            while not holds():
                self.news.clear()
                await self.news.wait()
        assert holds(), what


def neighbours_of(words: asks.Neighbours) -> dict[NodeId, str]:
    """Whom to link with, and where each is seen."""
    ids = [read_record(record).node_id for record in words.records]
    return {node_id: words.seen.get(node_id, "") for node_id in ids}


async def knock(port: int, end: NodeEnd, source: str = "127.0.0.1") -> Admitted:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        async with asyncio.timeout(JOINED_WITHIN_S):
            writer.write(end.begin())
            while data := await reader.read(4096):
                send, admitted = end.feed(data)
                if admitted is not None:
                    return admitted
                writer.write(send)
        raise ConnectionError("the manager closed the connection without an answer")
    finally:
        writer.transport.abort()


@asynccontextmanager
async def running_manager(
    folder: Path,
    join: Join = OPEN,
    limits: Limits | None = None,
    identity: Identity | None = None,
    address_of: Callable[[NodeId], Address] = session_address,
    **options: Any,
) -> AsyncIterator[tuple[Manager, FakeLocalNode]]:
    """With its own node joined, as far as the bus."""
    identity = identity or Identity(new_seed())
    fake = FakeLocalNode(folder / "node.sock", identity.node_id)
    config = Config(
        folder=folder / "manager",
        join=join,
        limits=limits or Limits(),
        node=fake.path,
        socket=folder / "manager.sock",
        **options,
    )
    await fake.start()
    bus_at = {identity.node_id: new_address() if address_of is session_address else address_of(identity.node_id)}
    manager = Manager(identity, config, bus_at, address_of)
    try:
        await manager.start()
        await knock(manager.door.port, NodeEnd(identity, sign_record(identity, make_record(identity, 1, (), "1"))))
        yield manager, fake
    finally:
        await manager.stop()
        await fake.stop()


@asynccontextmanager
async def nodes(manager: Manager, count: int, **options: Any) -> AsyncIterator[list[Node]]:
    """Joined and connected."""
    made = [Node(Identity(new_seed()), **options) for _ in range(count)]
    try:
        for node in made:
            await node.connect(await node.join(manager.door.port))
        yield made
    finally:
        await asyncio.gather(*(node.close() for node in made))


def run(test: Awaitable[None], within_s: float = 100) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await test

    asyncio.run(bounded())
