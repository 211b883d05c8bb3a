"""One connection to the messenger's socket: its lines, the bytes of files, and the events of a watcher."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import Protocol

from services.app.refusals import Refusals
from services.lines import encode
from services.messenger.api_wire import LineReader, read_request
from services.messenger.api_words import (
    FOR_PROGRAMS,
    Answer,
    Coming,
    Event,
    FetchFile,
    FileState,
    Ready,
    Refused,
    Request,
    SendFile,
    Sent,
    TakeNotes,
    Watch,
    Watching,
)
from services.messenger.errors import ApiError, AskedWronglyError, MessengerError

log = logging.getLogger(__name__)

IDLE_S, HALF_LINE_S, WRITE_WITHIN_S, ANSWER_WITHIN_S = 120.0, 10.0, 20.0, 40.0
CHUNK_WITHIN_S, FILE_WITHIN_S = 30.0, 3600.0
MOST_WAIT_S = 60.0
CHUNK = 64 * 1024
MAX_AT_ONCE = 64
"""Questions of one connection that are dealt with together."""

_ALONE = (Watch, SendFile, FetchFile)


class Desk(Protocol):
    """Each raises MessengerError with the sentence to tell."""

    def answer(self, request: Request) -> Awaitable[Answer]:
        """All but the three below. Of what is asked at once, messages keep the order in which this was called."""

    def send_file(self, request: SendFile, chunks: AsyncIterator[bytes]) -> Awaitable[Sent]:
        """Whoever asks sends nothing before the first chunk is wanted. `chunks` raises ApiError or OSError where the
        asker leaves or says nothing.
        """

    def fetch_file(self, request: FetchFile) -> Awaitable[tuple[FileState, AsyncIterator[bytes]]]: ...

    def watch(self, request: Watch) -> AsyncGenerator[Watching | Event, None]:
        """The first is `Watching`. It is closed when the watcher leaves."""


class Connection:
    def __init__(
        self,
        desk: Desk,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        refusals: Refusals,
        topics: frozenset[str] | None,
    ) -> None:
        """`topics` whose notes the asker may say; None: of all."""
        self._desk, self._reader, self._writer, self._topics = desk, reader, writer, topics
        self._lines, self._refusals = LineReader(), refusals

    async def serve(self) -> None:
        try:
            while data := await self._read():
                requests = [read_request(line) for line in self._lines.feed(data)]
                while requests:
                    await asyncio.sleep(0)
                    requests = await self._begin(requests)
        except ApiError as error:
            self._refusals.note("line", f"a connection to the messenger's socket ends: {error}")
            self._writer.write(encode(Refused(str(error), asked_wrongly=True)))
        except OSError as error:
            log.debug("a connection ends: %s", error or "silent, or slow to read")

    async def _read(self) -> bytes:
        async with asyncio.timeout(HALF_LINE_S if self._lines.half_line else IDLE_S):
            return await self._reader.read(CHUNK)

    async def _begin(self, requests: list[Request]) -> list[Request]:
        """Deals with the first of them, and tells which are left."""
        first = requests[0]
        if isinstance(first, _ALONE):
            if len(requests) > 1 or self._lines.half_line:
                raise ApiError("more was said before that was answered")
            await self._serve_alone(first)
            return []
        together = 1
        while together < min(len(requests), MAX_AT_ONCE) and not isinstance(requests[together], _ALONE):
            together += 1
        answers = await asyncio.gather(*(self._answer(request) for request in requests[:together]))
        self._writer.writelines([encode(answer) for answer in answers])
        await self._drain()
        return requests[together:]

    async def _answer(self, request: Request) -> Answer:
        within_s = ANSWER_WITHIN_S
        if isinstance(request, FOR_PROGRAMS) and self._topics is not None and request.topic not in self._topics:
            self._refusals.note("topic", f"a user who is not named for topic '{request.topic[:64]}' asks for its notes")
            return Refused(f"topic '{request.topic}' is not this user's (messenger.yaml: note_users)")
        if isinstance(request, TakeNotes):
            if not 0 <= request.wait_s <= MOST_WAIT_S:
                return Refused(f"wait_s is 0 to {MOST_WAIT_S:g} seconds", asked_wrongly=True)
            within_s += request.wait_s
        try:
            async with asyncio.timeout(within_s):
                return await self._desk.answer(request)
        except TimeoutError:
            return Refused(f"not done within {within_s:g} s: try again")
        except MessengerError as error:
            return _refused(error)
        except Exception:
            log.exception("'%s' failed", type(request).__name__)
            return Refused("it failed: see the messenger's log")

    # what takes the connection for itself

    async def _serve_alone(self, request: Watch | SendFile | FetchFile) -> None:
        """Where bytes were already promised or taken, a failure ends the connection."""
        try:
            match request:
                case Watch():
                    await self._watch(request)
                case SendFile():
                    await self._take_file(request)
                case FetchFile():
                    await self._give_file(request)
        except ApiError:
            raise
        except MessengerError as error:
            await self._write(_refused(error))
        except OSError:
            raise
        except Exception:
            log.exception("'%s' failed", type(request).__name__)
            await self._write(Refused("it failed: see the messenger's log"))

    async def _take_file(self, request: SendFile) -> None:
        body = _Body(self, request.size)
        chunks = body.chunks()
        try:
            async with asyncio.timeout(FILE_WITHIN_S):
                sent = await self._desk.send_file(request, chunks)
        except MessengerError as error:
            if body.wanted:  # what else comes are a file's bytes, not lines
                raise ApiError(str(error)) from None
            raise
        finally:
            await chunks.aclose()
        if body.left and body.wanted:
            raise ApiError(f"{body.left} bytes of the file were not taken")
        await self._write(sent)

    async def _give_file(self, request: FetchFile) -> None:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            file, chunks = await self._desk.fetch_file(request)
        left = file.size
        await self._write(Coming(file))
        try:
            async for chunk in chunks:
                left -= len(chunk)
                self._writer.write(chunk)
                await self._drain()
        finally:
            if left:
                self._writer.transport.abort()

    async def _watch(self, request: Watch) -> None:
        events = self._desk.watch(request)
        telling = asyncio.ensure_future(self._tell(events))
        leaving = asyncio.ensure_future(self._reader.read(1))
        try:
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (telling, leaving):
                task.cancel()
            ended = await asyncio.gather(telling, leaving, return_exceptions=True)
        if isinstance(ended[0], Exception):
            raise ended[0]
        self._writer.close()

    async def _tell(self, events: AsyncGenerator[Watching | Event, None]) -> None:
        async with contextlib.aclosing(events):
            async for event in events:
                await self._write(event)

    async def _write(self, words: Answer) -> None:
        self._writer.write(encode(words))
        await self._drain()

    async def _drain(self) -> None:
        async with asyncio.timeout(WRITE_WITHIN_S):
            await self._writer.drain()

    async def read_of_file(self, most: int) -> bytes:
        """Raises ApiError where the asker has left."""
        async with asyncio.timeout(CHUNK_WITHIN_S):
            data = await self._reader.read(min(most, CHUNK))
        if not data:
            raise ApiError("the asker left before the file was all here")
        return data

    async def say_ready(self) -> None:
        await self._write(Ready())


class _Body:
    """A file's bytes; the asker is told to send them when the first is `wanted`."""

    def __init__(self, connection: Connection, size: int) -> None:
        self._connection, self.left = connection, size
        self.wanted = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        self.wanted = True
        await self._connection.say_ready()
        while self.left:
            data = await self._connection.read_of_file(self.left)
            self.left -= len(data)
            yield data


def _refused(error: MessengerError) -> Refused:
    return Refused(str(error) or type(error).__name__, isinstance(error, AskedWronglyError))
