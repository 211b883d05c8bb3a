"""A desk behind the messenger's socket that remembers in lists what it is told: everybody it knows is `alice`, who
answers when a test says so. What it does not know it refuses, or breaks at.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from services.keys import Identity, NodeId, new_seed
from services.messenger.api import Api
from services.messenger.api_words import (
    AcceptFile,
    Answer,
    Came,
    Changed,
    Contact,
    Contacts,
    Conversation,
    Conversations,
    Done,
    Event,
    FetchFile,
    Files,
    FileState,
    GetContacts,
    GetConversations,
    GetFiles,
    GetGroups,
    GetHistory,
    Group,
    GroupMember,
    Groups,
    Message,
    Messages,
    Notes,
    PostNotice,
    Read,
    Request,
    Send,
    SendFile,
    Sent,
    SetContact,
    State,
    TakeNotes,
    Watch,
    Watching,
)
from services.messenger.errors import AskedWronglyError, MessengerError
from services.messenger.hub import Hub

ME, ALICE = (Identity(new_seed()).node_id for _ in range(2))


class Desk:
    """`delivers`: what is sent is there at once."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.messages: list[Message] = []
        self.names: dict[NodeId, str] = {}
        self.groups: list[Group] = []
        self.files: dict[str, tuple[FileState, bytes]] = {}
        self.delivers = False
        self.taken = self.watching = self.answered = 0
        self._answers: dict[type, Callable[[Any], Answer]] = {
            Send: self.send,
            GetHistory: self.history,
            GetConversations: self.conversations,
            Read: self.read,
            GetContacts: lambda _: self.contacts(),
            SetContact: self.name,
            GetGroups: lambda _: Groups(tuple(self.groups)),
            GetFiles: lambda _: Files(tuple(file for file, _ in self.files.values())),
            AcceptFile: self.accept,
            PostNotice: lambda request: Sent(self.write_down(request.text)),
        }

    def write_down(self, text: str, file: FileState | None = None, *, mine: bool = True) -> Message:
        number = len(self.messages) + 1
        kind: Any = "text" if file is None else "file"
        state: State = "waiting" if mine else "unread"
        sender, name = (ME, "me") if mine else (ALICE, "alice")
        message = Message(number, f"{number:032x}", ALICE, sender, name, mine, kind, text, 1.0, 1.0, state, file=file)
        self.messages.append(message)
        self.hub.tell(Came(message))
        if mine and self.delivers:
            self.change(number, "delivered")
        return message

    def change(self, number: int, state: State) -> None:
        changed = msgspec.structs.replace(self.messages[number - 1], state=state)
        self.messages[number - 1] = changed
        self.hub.tell(Changed(changed))

    def make_group(self, name: str) -> None:
        members = (GroupMember(ME, "me"), GroupMember(ALICE, "alice"))
        self.groups.append(Group("group:" + "c" * 32, name, ME, 1, members))

    async def answer(self, request: Request) -> Answer:
        self.answered += 1
        if isinstance(request, TakeNotes):
            await asyncio.sleep(request.wait_s)
            return Notes(())
        answered: Answer = self._answers[type(request)](request)
        await asyncio.sleep(0)
        return answered

    def send(self, request: Send) -> Answer:
        self.known(request.whom)
        return Sent(self.write_down(request.text))

    def history(self, request: GetHistory) -> Answer:
        later = self.messages[request.since or 0 :]
        return Messages(tuple(one for one in later if not request.unread or one.state == "unread"))

    def conversations(self, _: GetConversations) -> Answer:
        states = [one.state for one in self.messages]
        return Conversations((Conversation(ALICE, "alice", states.count("unread"), states.count("waiting")),))

    def read(self, request: Read) -> Answer:
        for one in self.messages[: request.upto]:
            if one.state == "unread":
                self.change(one.number, "read")
        return Done()

    def name(self, request: SetContact) -> Answer:
        self.names[NodeId(request.whom)] = request.name or ""
        return self.contacts()

    def accept(self, request: AcceptFile) -> Answer:
        if request.file not in self.files:
            raise AskedWronglyError(f"no file '{request.file}' (see: files)")
        return Files((self.files[request.file][0],))

    def known(self, whom: str) -> None:
        if whom == "nobody":
            raise AskedWronglyError("nobody is called 'nobody' (see: contacts)")

    def contacts(self) -> Contacts:
        return Contacts(tuple(Contact(node_id, name, "contact", True) for node_id, name in self.names.items()))

    async def send_file(self, request: SendFile, chunks: AsyncIterator[bytes]) -> Sent:
        if request.name == "no":
            raise MessengerError("nobody wants that")
        data = b""
        async for chunk in chunks:
            data += chunk
            self.taken = len(data)
            if request.name == "full" and self.taken > 100_000:
                raise MessengerError("the disk is full")
        file = FileState(request.name, ALICE, ALICE, request.name, request.size, True, "done", request.size)
        self.files[request.name] = (file, data)
        return Sent(self.write_down("", file))

    async def fetch_file(self, request: FetchFile) -> tuple[FileState, AsyncIterator[bytes]]:
        if request.file not in self.files:
            raise MessengerError(f"no file '{request.file}'")
        file, data = self.files[request.file]

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(data), 50_000):
                yield data[at : at + 50_000]

        return file, chunks()

    async def watch(self, request: Watch) -> AsyncGenerator[Watching | Event, None]:
        self.known(request.whom)
        self.watching += 1
        try:
            async with self.hub.follow() as events:
                yield Watching(len(self.messages), ALICE)
                for message in self.messages[request.since :] if request.since is not None else []:
                    yield Came(message)
                async for event in events:
                    yield event
        finally:
            self.watching -= 1


@contextmanager
def desk_in_a_thread(path: Path) -> Iterator[tuple[Desk, asyncio.AbstractEventLoop]]:
    """Served at that socket, for clients without an event loop; it is told things by `loop.call_soon_threadsafe`."""
    desk, loop, ready = Desk(), asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        api = Api(path, desk)
        await api.start()
        ready.set()
        try:
            await over.wait()
        finally:
            await api.close()

    over = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(20)
        yield desk, loop
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()
