"""What applications wrote, from the backend's ring while they run and from memory once they have ended.

Readers ask by offset and may wait for more: one shape for the shell, the GUI and other boards, and a reader who
goes away costs nothing.
"""

from __future__ import annotations

import asyncio
import codecs
from typing import TYPE_CHECKING

from viscript.errors import NoSuchIdError
from viscript.launcher.model import Ended, LogPart, Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from viscript.launcher.process.door import Backend

TAIL = 16 * 1024
"""Bytes kept of an ended run; `REMEMBERED` of them at most."""

CHUNK = 64 * 1024
REMEMBERED = 20
LONGEST_WAIT_S = 30.0
LOOK_INTERVAL_S = 0.1
MAX_LINES = 10_000


class Logs:
    """`ended` gives how the last runs ended."""

    def __init__(self, backend: Backend, ended: Callable[[], tuple[Ended, ...]]) -> None:
        self._backend = backend
        self._ended = ended
        self._over: dict[int, asyncio.Event] = {}
        self._tails: dict[int, Output] = {}

    def begin(self, app_id: int) -> None:
        """A run begins."""
        self._tails.pop(app_id, None)
        self._over[app_id] = asyncio.Event()

    async def collect(self, app_id: int) -> None:
        """A run is over: keep the end of what it wrote, and let go of the rest."""
        self._tails[app_id] = await self._backend.read_output(app_id, -TAIL, TAIL)
        for oldest in list(self._tails)[:-REMEMBERED]:
            del self._tails[oldest]
        await self._backend.forget(app_id)

    def release(self, app_id: int) -> None:
        """How the run ended is on record: readers who wait may know."""
        over = self._over.pop(app_id, None)
        if over is not None:
            over.set()

    async def read(self, app_id: int, offset: int | None, lines: int, wait_s: float) -> LogPart:
        """The last `lines`, or what came since `offset`. Raises NoSuchIdError for an id nobody remembers."""
        over = self._over.get(app_id)
        if over is None:
            return self._read_ended(app_id, offset, lines)
        if offset is None:
            return _last_lines(await self._backend.read_output(app_id, -CHUNK, CHUNK), lines)
        deadline = asyncio.get_running_loop().time() + min(wait_s, LONGEST_WAIT_S)
        while True:
            found = await self._backend.read_output(app_id, offset, CHUNK)
            left_s = deadline - asyncio.get_running_loop().time()
            if over.is_set():
                return self._read_ended(app_id, offset, lines)
            if found.data or left_s <= 0:
                return _part(found)
            if (await self._backend.read_output(app_id, -1, 1)).end < offset:
                offset = 0  # a new run, which began to count anew
            await _wait(over, min(left_s, LOOK_INTERVAL_S))

    def _read_ended(self, app_id: int, offset: int | None, lines: int) -> LogPart:
        ended = next((ended for ended in self._ended() if ended.id == app_id), None)
        if ended is None:
            raise NoSuchIdError(app_id)
        tail = self._tails.get(app_id)
        if tail is None:
            tail = Output(0, "".join(f"{line}\n" for line in ended.last_lines).encode())
        if offset is None:
            return _last_lines(tail, lines, ended)
        skip = min(max(offset - tail.start, 0), len(tail.data))
        return _part(Output(tail.start + skip, tail.data[skip:]), ended)


def _last_lines(output: Output, lines: int, ended: Ended | None = None) -> LogPart:
    kept = output.data.splitlines(keepends=True)[-min(lines, MAX_LINES) :] if lines > 0 else []
    size = sum(map(len, kept))
    return _part(Output(output.end - size, b"".join(kept)), ended)


def _part(output: Output, ended: Ended | None = None) -> LogPart:
    """As text. A character that is only half there is left for the next part, unless there is none."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(output.data, final=ended is not None)
    return LogPart(text, output.end - len(decoder.getstate()[0]), ended)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
