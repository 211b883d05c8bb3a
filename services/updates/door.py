"""This board as it can be updated: what booted, as `/run/skywire/boot.json` says, and the update door, the UNIX socket
of the program that installs (`skywire_board.update.words`). A door to both; decides nothing.
"""

# ruff: noqa: PLC0415 (a node that is on no board loads nothing of it)
from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from services.updates.errors import DoorError
from services.updates.model import cut

if TYPE_CHECKING:
    from skywire_board.update import words

SOCKET = Path("/run/skywire/update/update.sock")
BOOT = Path("/run/skywire/boot.json")
MAX_BOOT = 16 << 10
ANSWER_WITHIN_S = 60.0
SILENT_S = 1800.0
"""Of an installation: it may write for long without a word."""


class Boot(msgspec.Struct, frozen=True):
    """What of boot.json is told on. `trial`: not yet marked good; `rolled_back`: why it fell back, if it did."""

    version: str = ""
    slot: str = ""
    trial: bool = False
    rolled_back: str = ""


class Door:
    def __init__(self, socket: Path = SOCKET, boot: Path = BOOT) -> None:
        self._socket, self._boot = socket, boot
        self._seen: tuple[tuple[int, int], Boot] = ((0, 0), Boot())

    @property
    def is_there(self) -> bool:
        try:
            return stat.S_ISSOCK(self._socket.stat().st_mode)
        except OSError:
            return False

    def boot(self) -> Boot:
        """Nothing, where this is no board. Read again only when the file is another."""
        try:
            found = self._boot.stat()
            mark = found.st_ino, found.st_mtime_ns
            if mark != self._seen[0]:
                with self._boot.open("rb") as file:
                    self._seen = mark, msgspec.json.decode(file.read(MAX_BOOT), type=Boot)
        except (OSError, msgspec.DecodeError):
            return Boot()
        return self._seen[1]

    async def install(self, source: str, on_progress: Callable[[int, str], None], *, older: bool = False) -> str:
        """Until the other slot holds it: the version. Cancelling stops it. Raises DoorError."""
        from skywire_board.update import words

        reader, writer = await self._ask(words.Install(source, older=older))
        try:
            while True:
                answer = await _hear(reader, SILENT_S)
                if isinstance(answer, words.Installed):
                    return answer.version
                if isinstance(answer, words.Refused):
                    raise DoorError(cut(answer.text))
                if isinstance(answer, words.Progress):
                    on_progress(max(0, min(100, answer.percent)), cut(answer.text))
        finally:
            writer.transport.abort()

    async def reboot(self) -> None:
        """Raises DoorError where it will not."""
        from skywire_board.update import words

        reader, writer = await self._ask(words.Reboot())
        try:
            answer = await _hear(reader, ANSWER_WITHIN_S)
        finally:
            writer.transport.abort()
        if not isinstance(answer, words.Rebooting):
            why = answer.text if isinstance(answer, words.Refused) else type(answer).__name__
            raise DoorError(f"the board does not restart: {cut(why)}")

    async def _ask(self, request: words.Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        from skywire_board.update import words

        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                reader, writer = await asyncio.open_unix_connection(self._socket)
                writer.write(words.line(request))
                await writer.drain()
        except OSError as error:
            raise DoorError(f"the update door at '{self._socket}' does not answer: {error}") from None
        return reader, writer


async def _hear(reader: asyncio.StreamReader, within_s: float) -> words.Answer:
    from skywire_board.update import words

    try:
        async with asyncio.timeout(within_s):
            line = await reader.readuntil(b"\n")
        return words.read_answer(line)
    except TimeoutError:
        raise DoorError(f"the update door says nothing for {within_s:g} s") from None
    except (OSError, EOFError, asyncio.LimitOverrunError):
        raise DoorError("the update door hung up in the middle") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DoorError(f"the update door says what nobody understands: {error}") from None
