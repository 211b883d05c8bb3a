"""Answers what is asked on the messenger's socket about files, and takes and gives their bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.errors import shown
from services.keys import NodeId
from services.messenger import files, groups, mailbox, views
from services.messenger.api_words import (
    MAX_FILE,
    AcceptFile,
    Answer,
    FetchFile,
    Files,
    FileState,
    GetFiles,
    Message,
    RefuseFile,
    SendFile,
    Sent,
)
from services.messenger.app import Messenger
from services.messenger.change import Change, new_id
from services.messenger.errors import AskedWronglyError, MessengerError
from services.messenger.model import GROUP
from services.messenger.names import Names, remember_vouched

MAX_ONCE = 64


class FileDesk:
    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self._book, self._names = messenger.book, messenger.names

    async def send(self, request: SendFile, chunks: AsyncIterator[bytes]) -> Sent:
        conversation = await self._names.conversation(request.whom)
        files.check_name(request.name)
        if not 0 <= request.size <= MAX_FILE:
            raise AskedWronglyError(f"a file has at most {MAX_FILE} bytes, this one {request.size}")
        once = once_word("file", request.once)
        if sent := await self._book.read(lambda change: self._check(change, conversation, request, once)):
            return Sent(sent)
        nonce, store = new_id(), self._messenger.file_store
        file = files.file_id(self._messenger.own.me, nonce)
        digest = await store.take(file, request.size, chunks)

        def offer(change: Change) -> Message:
            to = groups.receivers(change, conversation)
            number = files.offer(change, conversation, to, nonce, request.name, request.size, digest, once)
            return written(change, self._names, conversation, number)

        try:
            return Sent(await self._book.write(offer))
        except MessengerError:
            store.forget(file)
            raise

    def _check(self, change: Change, conversation: str, request: SendFile, once: str) -> Message | None:
        """What was sent already under that word. Raises AskedWronglyError."""
        groups.receivers(change, conversation)
        (waiting,) = change.one(
            "SELECT coalesce(sum(size), 0) FROM files WHERE is_mine AND stage IN ('offered', 'waiting', 'moving')"
        )
        quota = self._messenger.config.files_quota_bytes
        if waiting + request.size > quota:
            raise AskedWronglyError(
                f"{request.size} bytes do not fit: {waiting} of {quota} wait to be fetched (files_quota_bytes)"
            )
        found = views.messages(change, "once = ?", once) if once else []
        return found[0] if found else None

    async def _file(self, text: str) -> list[FileState]:
        """One file; of one's own to a group, as it is at each member."""
        found = await self._book.read(lambda change: views.files_like(change, text))
        if len({file.id for file in found}) != 1:
            raise AskedWronglyError(
                f"{shown(text)}: {'no file is called so here' if not found else 'more than one file begins so'}"
            )
        return found

    async def accept(self, request: AcceptFile) -> Answer:
        found = (await self._file(request.file))[0]
        quota = self._messenger.config.files_quota_bytes
        await self._book.write(lambda change: files.accept(change, bytes.fromhex(found.id), found.node_id, quota))
        return Files(tuple(await self._file(found.id)))

    async def refuse(self, request: RefuseFile) -> Answer:
        found = await self._file(request.file)

        def refuse(change: Change) -> None:
            for file in found:
                files.refuse(change, bytes.fromhex(file.id), file.node_id)

        await self._book.write(refuse)
        return Files(tuple(await self._file(found[0].id)))

    async def fetch(self, request: FetchFile) -> tuple[FileState, AsyncIterator[bytes]]:
        found = (await self._file(request.file))[0]
        store, id_ = self._messenger.file_store, bytes.fromhex(found.id)
        if not store.path(id_).exists() or not (found.is_mine or found.stage == "done"):
            raise AskedWronglyError(f"file '{found.id}' is not here as a whole: it is {found.stage}")

        async def chunks() -> AsyncIterator[bytes]:
            async for _, data in store.stretch(id_, 0, found.size):
                yield data

        return found, chunks()

    async def list(self, request: GetFiles) -> Answer:
        conversation = await self._names.conversation(request.whom) if request.whom else ""
        return Files(tuple(await self._book.read(lambda change: views.files(change, conversation))))


def written(change: Change, names: Names, conversation: str, number: int) -> Message:
    """What has just been said, with what else its receiver should know or this node should remember."""
    if not conversation.startswith(GROUP):
        peer = NodeId(conversation)
        mailbox.tell_places_to(change, peer)
        if name := names.vouched(peer):
            remember_vouched(change, peer, name)
    return views.messages(change, "number = ?", number)[0]


def once_word(kind: str, word: str) -> str:
    """One word for each kind, so that two programs do not meet. Raises AskedWronglyError."""
    if len(word) > MAX_ONCE:
        raise AskedWronglyError(f"'once' has at most {MAX_ONCE} letters")
    return f"{kind} {word}" if word else ""
