"""The door between peered managers: a TCP connection for each question, from session address to session address. Who
asks is its source address, which nobody else can have (`services.addresses`); what it may ask is not decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import msgspec

from services.app.farewell import close, turn_away
from services.app.refusals import Refusals
from services.errors import IdentityError
from services.lines import LineReader
from services.manager.ending import end_tasks
from services.manager.errors import BusError, EngineError, ManagerError, WordsError
from services.manager.peering.words import MAX_LINE, Answer, Ask, Refused, read_answer, read_ask
from services.manager.server_config import Address

log = logging.getLogger(__name__)

CHUNK = 1 << 16
ASK_WITHIN_S, CONNECT_WITHIN_S = 6.0, 3.0
SERVE_WITHIN_S, WRITE_WITHIN_S = 12.0, 5.0
MAX_AT_ONCE, MAX_OF_ONE = 512, 128

Place = tuple[str, int]
Hear = Callable[[str, Ask], Awaitable[Answer]]
"""The source address, and what is asked."""


async def ask(source: Address | None, to: Place, asked: Ask, within_s: float = ASK_WITHIN_S) -> Answer:
    """Raises BusError where nobody answers, WordsError for what is no answer."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(within_s):
            async with asyncio.timeout(min(within_s, CONNECT_WITHIN_S)):
                local = (str(source), 0) if source is not None else None
                reader, writer = await asyncio.open_connection(*to, local_addr=local)
            writer.write(msgspec.json.encode(asked) + b"\n")
            return read_answer(await _read_line(reader))
    except (OSError, TimeoutError) as error:
        raise BusError(f"the other cluster's manager does not answer: {_reason(error)}") from None
    finally:
        if writer is not None:
            writer.transport.abort()


class Listener:
    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._of_one: Counter[str] = Counter()
        self.refusals = Refusals(log)

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1]) if self._server is not None else 0

    async def start(self, at: Place) -> None:
        """Raises EngineError."""
        try:
            self._server = await asyncio.start_server(self._accept, *at, limit=CHUNK)
        except OSError as error:
            reason = error.strerror or str(error)
            raise EngineError(f"cannot listen for other clusters at '{at[0]}' port {at[1]}: {reason}") from error

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await end_tasks(self._tasks)
            await self._server.wait_closed()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        address = str(ip_address(peer[0].partition("%")[0])) if peer else ""
        if not address or len(self._tasks) >= MAX_AT_ONCE or self._of_one[address] >= MAX_OF_ONE:
            self._turn_away(writer, address)
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, address))
        self._tasks.add(task)
        self._of_one[address] += 1

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._of_one[address] -= 1
            if not self._of_one[address]:
                del self._of_one[address]
            close(writer)
            if not task.cancelled() and task.exception() is not None:
                log.error("a question of '%s' failed", address, exc_info=task.exception())

        task.add_done_callback(ended)

    def _turn_away(self, writer: asyncio.StreamWriter, address: str) -> None:
        """Told in words of ours; whoever does not read them keeps no place."""
        self.refusals.note("full", f"too many questions of other clusters at once: '{address}' is turned away")
        turn_away(writer, msgspec.json.encode(Refused("too many questions at once: ask again", again=True)) + b"\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> None:
        with contextlib.suppress(OSError):
            answer: Answer
            try:
                async with asyncio.timeout(SERVE_WITHIN_S):
                    answer = await self._answer(reader, address)
            except TimeoutError:
                why = f"no whole question, or no answer to it, within {SERVE_WITHIN_S:g} s"
                self.refusals.note("slow", f"a question of '{address}' is refused: {why}")
                answer = Refused(why, again=True)
            writer.write(msgspec.json.encode(answer) + b"\n")
            async with asyncio.timeout(WRITE_WITHIN_S):
                await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, address: str) -> Answer:
        try:
            return await self._hear(address, read_ask(await _read_line(reader)))
        except BusError as error:
            self.refusals.note("bus", f"a question of '{address}' cannot be answered now: {error}")
            return Refused(str(error), again=True)
        except (ManagerError, IdentityError) as error:
            self.refusals.note(type(error).__name__, f"a question of '{address}' is refused: {error}")
            return Refused(str(error), again=getattr(error, "again", False))
        except OSError:
            raise  # they hung up, or were too slow
        except Exception:
            log.exception("a question of '%s' failed", address)
            return Refused("this manager made a mistake there: see its log")


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Raises WordsError, OSError."""
    lines = LineReader(MAX_LINE, WordsError)
    while data := await reader.read(CHUNK):
        for line in lines.feed(data):
            return line
    raise ConnectionError("it closed the connection without a whole line")


def _reason(error: OSError | TimeoutError) -> str:
    if isinstance(error, TimeoutError) and not error.errno:
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return str(error)
    return error.strerror or str(error)
