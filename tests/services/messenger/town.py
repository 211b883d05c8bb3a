"""Messengers of one test, on loopback: each at an IPv4 address of its own, from which alone its words are believed. All
else is what ships: stores on the disk, TCP, keys that real identities vouch for. Whoever is `away` cannot be reached,
and who reaches for one that is `stuck` waits for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from services.addresses import session_address
from services.keys import Identity, NodeId, new_seed
from services.messenger.api_words import Answer, Came, Event, GetHistory, Message, Messages, Send, Sent, Watch
from services.messenger.app import Messenger
from services.messenger.config import Config
from services.messenger.crypto import PURPOSE
from services.messenger.desk import Desk
from services.messenger.errors import AskedWronglyError, UnreachableError
from services.messenger.switchboard import Place, Ways
from services.node.api_words import Resolved
from services.node.vouching import vouch

WITHIN_S = 20.0
T = TypeVar("T", bound=msgspec.Struct)
_lasts = itertools.count(2)


class Town:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.people: dict[str, Person] = {}
        self.places: dict[NodeId, Place] = {}
        self.away: set[NodeId] = set()
        self.stuck: set[NodeId] = set()
        self.tried: dict[NodeId, int] = {}

    async def move_in(self, name: str, **settings: Any) -> Person:
        person = Person(self, name, settings)
        self.people[name] = person
        await person.start()
        return person

    async def close(self) -> None:
        for person in self.people.values():
            await person.stop()

    def address_of(self, node_id: str) -> str:
        known = {str(person.id): person.address for person in self.people.values()}
        return known.get(node_id, str(session_address(NodeId(node_id))))

    async def reach(self, peer: NodeId) -> Place:
        self.tried[peer] = self.tried.get(peer, 0) + 1
        if peer in self.stuck:
            await asyncio.Event().wait()
        if peer in self.away or peer not in self.places:
            raise UnreachableError(f"'{peer}' is away")
        return self.places[peer]

    async def resolve(self, name: str) -> Resolved:
        if name not in self.people:
            raise AskedWronglyError(f"nobody is known as '{name}'")
        return Resolved(name, self.people[name].id, self.people[name].address, "vouched")

    async def pets(self) -> dict[NodeId, str]:
        return {}


class Person:
    """One messenger, which may be stopped and started again; its card stays."""

    def __init__(self, town: Town, name: str, settings: dict[str, Any]) -> None:
        self.town, self.name = town, name
        self.identity = Identity(new_seed())
        self.id = self.identity.node_id
        self.address = f"127.0.7.{next(_lasts)}"
        self.config = Config(card=town.folder / name, socket=town.folder / f"{name}.sock", **settings)
        self.is_up = False
        self.messenger: Messenger
        self.desk: Desk

    async def start(self) -> None:
        self.messenger = Messenger(self.config, Ways(self.town.reach, self.town.address_of), self.town)
        await self.messenger.open(self.id)
        key = self.messenger.own.keys.public
        self.messenger.set_vouch(vouch(self.identity, PURPOSE, bytes.fromhex(key)))
        port = await self.messenger.listen(self.address, 0)
        self.town.places[self.id] = Place(self.address, port)
        self.desk = Desk(self.messenger)
        self.is_up = True

    async def stop(self) -> None:
        if self.is_up:
            self.is_up = False
            self.town.places.pop(self.id, None)
            await self.messenger.close()

    async def ask(self, request: Any, kind: type[T]) -> T:
        async with asyncio.timeout(WITHIN_S):
            answer: Answer = await self.desk.answer(request)
        assert isinstance(answer, kind), answer
        return answer

    async def send(self, to: Person | str, text: str, **more: Any) -> Message:
        whom = to if isinstance(to, str) else to.id
        return (await self.ask(Send(whom, text, **more), Sent)).message

    async def history(self, of: Person | str = "", **more: Any) -> tuple[Message, ...]:
        whom = of if isinstance(of, str) else of.id
        return (await self.ask(GetHistory(whom, limit=500, **more), Messages)).messages

    async def texts(self, of: Person | str = "") -> list[str]:
        return [message.text for message in await self.history(of)]

    async def wait(self, is_so: Callable[[Event], object], since: int | None = 0, within_s: float = WITHIN_S) -> Event:
        """The first event of which it is so, of all messages after `since` and what happens then."""
        async with asyncio.timeout(within_s), contextlib.aclosing(self.desk.watch(Watch(since))) as events:
            async for event in events:
                if is_so(event):  # type: ignore[arg-type]
                    return event  # type: ignore[return-value]
        raise AssertionError("the events ended")

    async def wait_text(self, text: str) -> Message:
        event = await self.wait(lambda event: isinstance(event, Came) and event.message.text == text)
        assert isinstance(event, Came)
        return event.message

    async def wait_state(self, message: Message, *states: str) -> Message:
        """Until that message is in one of these states."""

        def look(event: object) -> bool:
            found = getattr(event, "message", None)
            return found is not None and found.number == message.number and found.state in states

        event = await self.wait(look, since=message.number - 1)
        return event.message  # type: ignore[union-attr]


@contextlib.asynccontextmanager
async def town(folder: Path, *names: str, **settings: Any) -> AsyncIterator[Town]:
    made = Town(folder)
    try:
        for name in names:
            await made.move_in(name, **settings)
        yield made
    finally:
        await made.close()
