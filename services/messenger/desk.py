"""Answers what is asked on the messenger's socket: names to conversations, words to changes, rows to words."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from services import __version__
from services.messenger import groups, mailbox, messages, views
from services.messenger.api_words import (
    AcceptFile,
    AddMember,
    Answer,
    AskMailbox,
    Came,
    Changed,
    Contacts,
    Conversations,
    Done,
    EndMailbox,
    Event,
    GetContacts,
    GetConversations,
    GetFiles,
    GetGroups,
    GetHistory,
    GetMailboxes,
    GetStatus,
    Groups,
    LeaveGroup,
    Mailboxes,
    MakeGroup,
    Message,
    Moved,
    Notes,
    NoteSent,
    OfferMailbox,
    PostNotice,
    Read,
    RefuseFile,
    RemoveMember,
    Request,
    Search,
    Send,
    SendNote,
    Sent,
    SetContact,
    Status,
    TakeNotes,
    Watch,
    Watching,
)
from services.messenger.app import Messenger
from services.messenger.change import Change, Effects
from services.messenger.errors import AskedWronglyError
from services.messenger.file_desk import FileDesk, once_word, written
from services.messenger.model import MAX_NOTE, MAX_TOPIC, Note
from services.messenger.names import set_contact

PAGE = 200


class Desk:
    """`trouble` says what keeps the messenger from working, or nothing."""

    def __init__(self, messenger: Messenger, trouble: Callable[[], str] = lambda: "") -> None:
        self._messenger, self._trouble = messenger, trouble
        self._book, self._names = messenger.book, messenger.names
        self._files = FileDesk(messenger)
        self.send_file, self.fetch_file = self._files.send, self._files.fetch
        self._answers: dict[type, Callable[[Any], Awaitable[Answer]]] = {
            Send: self._send,
            GetHistory: self._history,
            Search: self._search,
            GetConversations: self._conversations,
            Read: self._read,
            GetContacts: self._contacts,
            SetContact: self._set_contact,
            AcceptFile: self._files.accept,
            RefuseFile: self._files.refuse,
            GetFiles: self._files.list,
            MakeGroup: self._make_group,
            AddMember: self._add_member,
            RemoveMember: self._remove_member,
            LeaveGroup: self._leave_group,
            GetGroups: self._groups,
            OfferMailbox: self._offer_mailbox,
            EndMailbox: self._end_mailbox,
            AskMailbox: self._ask_mailbox,
            GetMailboxes: self._mailboxes,
            SendNote: self._send_note,
            TakeNotes: self._take_notes,
            PostNotice: self._post_notice,
            GetStatus: self._status,
        }

    def answer(self, request: Request) -> Awaitable[Answer]:
        """A message to somebody known takes its place before this returns. Raises MessengerError."""
        if isinstance(request, Send):
            conversation = self._names.known(request.whom)
            if conversation is not None:
                return self._sent(self._book.submit(lambda change: self._say(change, conversation, request)))
        return self._answers[type(request)](request)

    # messages

    async def _send(self, request: Send) -> Sent:
        conversation = await self._names.conversation(request.whom)
        return await self._sent(self._book.submit(lambda change: self._say(change, conversation, request)))

    async def _sent(self, future: asyncio.Future[tuple[Message, Effects]]) -> Sent:
        return Sent((await asyncio.shield(future))[0])

    def _say(self, change: Change, conversation: str, request: Send) -> Message:
        to = groups.receivers(change, conversation)
        number = messages.say(
            change, conversation, to, request.text, reply_to=request.reply_to, once=once_word("send", request.once)
        )
        return written(change, self._names, conversation, number)

    async def _history(self, request: GetHistory) -> Answer:
        conversation = await self._names.conversation(request.whom) if request.whom else ""
        return await self._book.read(lambda change: views.history(change, conversation, request))

    async def _search(self, request: Search) -> Answer:
        conversation = await self._names.conversation(request.whom) if request.whom else ""
        return await self._book.read(lambda change: views.search(change, conversation, request))

    async def _conversations(self, _: GetConversations) -> Answer:
        await self._names.refresh()
        return Conversations(tuple(await self._book.read(views.conversations)))

    async def _read(self, request: Read) -> Answer:
        conversation = await self._names.conversation(request.whom)
        await self._book.write(lambda change: messages.read_upto(change, conversation, request.upto))
        return Done()

    async def watch(self, request: Watch) -> AsyncGenerator[Watching | Event, None]:
        conversation = await self._names.conversation(request.whom) if request.whom else ""
        async with self._messenger.hub.follow() as follower:
            await self._book.write(lambda _: None)  # what was written unwatched is in the store now
            newest: int = (await self._book.read(lambda change: change.one("SELECT max(number) FROM messages")))[0] or 0
            yield Watching(newest, conversation)
            if request.since is not None:
                async for message in self._between(conversation, request.since, newest):
                    yield Came(message)
            async for event in follower:
                if isinstance(event, Came) and event.message.number <= newest:
                    continue
                if not conversation or _is_of(event, conversation):
                    yield event

    async def _between(self, conversation: str, since: int, upto: int) -> AsyncIterator[Message]:
        where, values = ("AND conversation = ?", (conversation,)) if conversation else ("", ())
        while page := await self._book.read(
            lambda change: views.messages(
                change,
                f"number > ? AND number <= ? {where}",
                *(since, upto, *values),  # noqa: B023 (awaited at once)
                limit=PAGE,
            )
        ):
            for message in page:
                yield message
            since = page[-1].number

    # people

    async def _contacts(self, _: GetContacts) -> Answer:
        await self._names.refresh()
        online, pets = self._messenger.board.online, self._names.pets
        return Contacts(tuple(await self._book.read(lambda change: views.contacts(change, online, pets))))

    async def _set_contact(self, request: SetContact) -> Answer:
        whom = await self._names.node(request.whom)
        await self._book.write(lambda change: set_contact(change, whom, request.name, request.is_blocked))
        await self._names.load(self._book)
        return await self._contacts(GetContacts())

    # groups

    async def _make_group(self, request: MakeGroup) -> Answer:
        members = [await self._names.node(whom) for whom in request.members]
        return await self._group(await self._book.write(lambda change: groups.make(change, request.name, members)))

    async def _add_member(self, request: AddMember) -> Answer:
        group, whom = await self._names.group(request.group), await self._names.node(request.whom)
        await self._book.write(lambda change: groups.add(change, group, whom))
        return await self._group(group)

    async def _remove_member(self, request: RemoveMember) -> Answer:
        group, whom = await self._names.group(request.group), await self._names.node(request.whom)
        await self._book.write(lambda change: groups.remove(change, group, whom))
        return await self._group(group)

    async def _leave_group(self, request: LeaveGroup) -> Answer:
        group = await self._names.group(request.group)
        await self._book.write(lambda change: groups.leave(change, group))
        return Done()

    async def _group(self, group: str) -> Answer:
        return Groups((await self._book.read(lambda change: views.group(change, group)),))

    async def _groups(self, _: GetGroups) -> Answer:
        return Groups(tuple(await self._book.read(views.groups)))

    # mailboxes

    async def _offer_mailbox(self, request: OfferMailbox) -> Answer:
        whom = await self._names.node(request.whom)
        await self._book.write(lambda change: mailbox.offer(change, whom, request.quota_bytes, request.keep_s))
        return await self._mailboxes(GetMailboxes())

    async def _end_mailbox(self, request: EndMailbox) -> Answer:
        whom = await self._names.node(request.whom)
        await self._book.write(lambda change: mailbox.end(change, whom))
        return await self._mailboxes(GetMailboxes())

    async def _ask_mailbox(self, request: AskMailbox) -> Answer:
        whom = await self._names.node(request.whom)
        await self._book.write(lambda change: mailbox.ask(change, whom))
        return await self._mailboxes(GetMailboxes())

    async def _mailboxes(self, _: GetMailboxes) -> Answer:
        mine, kept = await self._book.read(lambda change: (views.mailboxes(change), views.kept(change)))
        return Mailboxes(tuple(mine), tuple(kept))

    # other programs

    async def _send_note(self, request: SendNote) -> Answer:
        whom = await self._names.node(request.whom)
        if not 0 < len(request.topic) <= MAX_TOPIC or len(request.body.encode()) > MAX_NOTE:
            raise AskedWronglyError(f"a note has a topic of 1 to {MAX_TOPIC} letters, and at most {MAX_NOTE} bytes")
        once = once_word(f"note {request.topic}", request.once)

        def post(change: Change) -> None:
            now_ms = change.own.now_ms()
            if whom == change.own.me:
                raise AskedWronglyError("that is this node itself")
            if once and change.run("INSERT OR IGNORE INTO onces VALUES (?, ?)", (once, now_ms)).rowcount == 0:
                return
            change.post(whom, Note(request.topic, now_ms, request.body))

        await self._book.write(post)
        return NoteSent(whom)

    async def _take_notes(self, request: TakeNotes) -> Answer:
        came = self._messenger.topic(request.topic)
        await self._book.write(
            lambda change: (
                change.run("DELETE FROM notes WHERE topic = ? AND number <= ?", (request.topic, request.since)).rowcount
            )
        )
        found: list[Any] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, request.wait_s) or None):
                while True:
                    came.clear()
                    found = await self._book.read(lambda change: views.notes(change, request.topic))
                    if found or not request.wait_s:
                        break
                    await came.wait()
        return Notes(tuple(found))

    async def _post_notice(self, request: PostNotice) -> Answer:
        about = await self._names.node(request.about)
        messages.check_text(request.text)

        def post(change: Change) -> Message:
            once = once_word(f"notice {request.topic}", request.once)
            number = messages.notice(change, about, about, "notice", request.text, topic=request.topic, once=once)
            return views.messages(change, "number = ?", number)[0]

        return Sent(await self._book.write(post))

    async def _status(self, _: GetStatus) -> Answer:
        counts = await self._book.read(_counts)
        online = self._messenger.board.online
        trouble = self._trouble()
        waits = f"; {counts['waiting']} messages wait" if counts["waiting"] else ""
        summary = trouble or f"works: {len(online)} online, {counts['unread']} unread{waits}"
        return Status(
            node_id=self._messenger.own.me,
            version=__version__,
            works=not trouble,
            summary=summary,
            online=len(online),
            store_bytes=self._messenger.store_bytes,
            refused=dict(self._messenger.board.refusals.counts),
            **counts,
        )


_COUNTED = {
    "contacts": "(SELECT id FROM conversations WHERE id NOT LIKE 'group:%' "
    "UNION SELECT node_id FROM peers WHERE name != '')",
    "messages": "messages",
    "unread": "messages WHERE state = 'unread'",
    "waiting": "messages WHERE state IN ('waiting', 'boxed')",
    "moving": "files WHERE stage = 'moving'",
    "groups": "groups WHERE is_member",
}


def _counts(change: Change) -> dict[str, int]:
    counts = {name: int(change.one(f"SELECT count(*) FROM {what}")[0]) for name, what in _COUNTED.items()}  # noqa: S608
    counts["kept_bytes"] = int(change.one("SELECT coalesce(sum(size), 0) FROM boxed")[0])
    return counts


def _is_of(event: Event, conversation: str) -> bool:
    match event:
        case Came() | Changed():
            return event.message.conversation == conversation
        case Moved():
            return event.file.conversation == conversation
        case _:
            return True
