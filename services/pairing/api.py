"""Serves a pairing's socket: whoever may log in on the board sees where it is, and may confirm or cancel it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from services.app.line_socket import FULL, LineSocket, Room, is_trusted, uids
from services.app.refusals import Refusals
from services.lines import LineReader, encode
from services.pairing import api_words as words
from services.pairing.errors import ApiError, DoorError
from services.pairing.model import Shown

log = logging.getLogger(__name__)

MODE = 0o666
ROOM = Room(all=16, others=12, of_one=8)
CHUNK, ASK_WITHIN_S, TAKE_WITHIN_S = 4096, 10.0, 5.0
DONE_WITHIN_S = 2.0


class Api:
    """`users` are those besides root and the own; `confirm` and `cancel` are what they ask for."""

    def __init__(
        self, path: Path, users: Sequence[str], confirm: Callable[[], None], cancel: Callable[[], None]
    ) -> None:
        self._path, self._users, self._confirm, self._cancel = path, users, confirm, cancel
        full = encode(words.Refused(FULL))
        self._socket = LineSocket(path, self._serve, ROOM, Refusals(log), full=full, mode=MODE)
        self._shown = words.Shown("looking", "")
        self._news, self._watched = asyncio.Condition(), asyncio.Event()

    async def start(self) -> None:
        """Raises DoorError."""
        try:
            await self._socket.start()
        except OSError as error:
            raise DoorError(f"cannot listen at '{self._path}': {error.strerror} (does a pairing go on?)") from None

    async def close(self) -> None:
        """Who watches has been told the end; who began one that ended at once has a moment to ask why."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DONE_WITHIN_S):
                await self._watched.wait()
        await self._socket.close(patience_s=DONE_WITHIN_S)

    async def show(self, shown: Shown) -> None:
        async with self._news:
            self._shown = words.Shown(
                shown.stage.value, shown.text, shown.code, shown.other, shown.part or "", shown.candidates
            )
            self._news.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: int) -> None:
        lines = LineReader(words.MAX_LINE, ApiError)
        try:
            while True:
                async with asyncio.timeout(ASK_WITHIN_S):
                    data = await reader.read(CHUNK)
                if not data:
                    return
                if not (is_trusted(uid) or uid in uids(self._users)):
                    raise ApiError("a pairing answers root and those who log in on this board")
                for line in lines.feed(data):
                    await self._answer(words.read_request(line), writer)
        except ApiError as error:
            writer.write(encode(words.Refused(str(error))))

    async def _answer(self, request: words.Request, writer: asyncio.StreamWriter) -> None:
        match request:
            case words.Watch():
                await self._watch(writer)
                return
            case words.Confirm():
                self._confirm()
            case words.Cancel():
                self._cancel()
        writer.write(encode(words.Done()))

    async def _watch(self, writer: asyncio.StreamWriter) -> None:
        self._watched.set()
        said: words.Shown | None = None
        while said is None or not said.is_over:
            async with self._news:
                await self._news.wait_for(lambda: self._shown != said)  # noqa: B023 (at once)
                said = self._shown
            writer.write(encode(said))
            async with asyncio.timeout(TAKE_WITHIN_S):
                await writer.drain()
