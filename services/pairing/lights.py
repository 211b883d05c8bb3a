"""The board's supervisor: its lights show where a pairing is, its button confirms it. On a machine without one, a
pairing goes on by its socket alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from services.pairing.model import Shown, Stage

if TYPE_CHECKING:
    from skywire_board.api_words import SayState

log = logging.getLogger(__name__)

WITHIN_S = 5.0
SOURCE = "pairing"


class Lights:
    """`acted` is called with what the button was understood to do."""

    def __init__(self, path: Path, acted: Callable[[str], None]) -> None:
        self._path, self._acted = path, acted
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        from skywire_board.api_words import Follow, line  # noqa: PLC0415

        try:
            async with asyncio.timeout(WITHIN_S):
                reader, self._writer = await asyncio.open_unix_connection(self._path)
        except OSError as error:
            log.info("no supervisor shows this pairing (%s): %s", self._path, error.strerror or "no answer")
            return
        self._task = asyncio.get_running_loop().create_task(self._hear(reader))
        self._writer.write(line(Follow()))

    def show(self, shown: Shown) -> None:
        from skywire_board.api_words import MAX_TEXT, Say, line  # noqa: PLC0415

        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(line(Say(SOURCE, _state(shown), shown.text[:MAX_TEXT], shown.code)))

    async def close(self) -> None:
        """What was said last lasts as long as the supervisor says."""
        if self._writer is not None:
            try:
                async with asyncio.timeout(WITHIN_S):
                    await self._writer.drain()
                    self._writer.write_eof()
                    if self._task is not None:
                        await asyncio.wait([self._task], timeout=1.0)
            except OSError:
                pass
            self._writer.transport.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        from skywire_board.api_words import Acted, Refused, read_answer  # noqa: PLC0415

        try:
            while text := await reader.readline():
                match read_answer(text):
                    case Acted(act):
                        self._acted(act)
                    case Refused(why):
                        log.warning("the supervisor refuses to show this pairing: %s", why)
                    case _:
                        pass
        except (OSError, ValueError, msgspec.DecodeError) as error:
            log.warning("the button is not heard any more: %s", error)


def _state(shown: Shown) -> SayState:
    match shown.stage:
        case Stage.CONFIRMED:
            return "confirmed"
        case Stage.REFUSED:
            return "refused"
        case Stage.JOINING:
            return "joining"
    return "pairing"
