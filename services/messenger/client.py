"""Asks the messenger on this machine over its UNIX socket, in an event loop; `line` does it without one, and files."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from services.app.asking_line import CHUNK
from services.lines import encode
from services.messenger.api_wire import LineReader, decode_answer, expect, expect_event
from services.messenger.api_words import (
    MAX_ANSWER,
    Answer,
    Event,
    Missed,
    TakeNotes,
    Watch,
    Watching,
)
from services.messenger.errors import MessengerAwayError, MessengerError
from services.messenger.line import ANSWER_WITHIN_S, Line, ask_once, away
from services.messenger.places import usual_socket

CONNECT_WITHIN_S = 5.0

T = TypeVar("T", bound=msgspec.Struct)


class MessengerClient:
    """One connection; what several tasks ask at once is dealt with at once. After an error other than a refusal make
    another.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or usual_socket()
        self._writer: asyncio.StreamWriter | None = None
        self._answers: asyncio.Task[None] | None = None
        self._waiting: deque[asyncio.Future[Answer]] = deque()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Raises MessengerAwayError."""
        reader, self._writer = await _open(self._path)
        self._answers = asyncio.get_running_loop().create_task(self._take(reader))

    async def close(self) -> None:
        if self._answers is not None:
            self._answers.cancel()
            await asyncio.gather(self._answers, return_exceptions=True)

    async def ask(self, request: msgspec.Struct, kind: type[T], within_s: float = ANSWER_WITHIN_S) -> T:
        """No file, no watching. Raises MessengerRefusedError, MessengerAwayError, ApiError."""
        if self._writer is None or self._answers is None or self._answers.done():
            raise MessengerAwayError(f"no connection to the messenger at '{self._path}': start one first")
        if isinstance(request, TakeNotes):
            within_s += request.wait_s
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        try:
            async with asyncio.timeout(within_s):
                self._writer.write(encode(request))
                await self._writer.drain()
                return expect(await asyncio.shield(answer), kind)
        except TimeoutError as error:  # its answer, which may still come, keeps its place
            raise away(self._path, error) from None
        except OSError as error:
            self._answers.cancel()
            raise away(self._path, error) from None

    async def _take(self, reader: asyncio.StreamReader) -> None:
        """Answers come in the order of their questions, one that nobody waits for any more too."""
        lines = LineReader(MAX_ANSWER)
        try:
            while data := await reader.read(CHUNK):
                for line in lines.feed(data):
                    _settle(self._waiting.popleft(), line)
        except (OSError, MessengerError, IndexError):
            pass
        finally:
            if self._writer is not None:
                self._writer.transport.abort()
            while self._waiting:
                if not (answer := self._waiting.popleft()).done():
                    answer.set_exception(away(self._path, None))
                    answer.exception()  # so that one nobody waits for is not complained of


async def watch(request: Watch, path: Path | None = None) -> AsyncGenerator[Watching | Event, None]:
    """First `Watching`, then what happens, until the messenger ends it. Raises as `ask`."""
    path = path or usual_socket()
    reader, writer = await _open(path)
    lines = LineReader(MAX_ANSWER)
    try:
        writer.write(encode(request))
        while data := await reader.read(CHUNK):
            for line in lines.feed(data):
                event = expect_event(decode_answer(line))
                yield event
                if isinstance(event, Missed):
                    return
    except OSError as error:
        raise away(path, error) from None
    finally:
        writer.transport.abort()
    raise away(path, None)


async def _open(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            return await asyncio.open_unix_connection(path)
    except OSError as error:
        raise away(path, error) from None


def _settle(answer: asyncio.Future[Answer], line: bytes) -> None:
    if answer.done():
        return
    try:
        answer.set_result(decode_answer(line))
    except MessengerError as error:
        answer.set_exception(error)
        answer.exception()


__all__ = ["Line", "MessengerClient", "ask_once", "watch"]
